# The image of all programs. The last stage has one layer: what scripts/image-root assembles, without a shell or a package manager.
#
#   docker build -t hybridnet:v0.1.0 .
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/hybridnet:v0.1.0 --push .
ARG NODE=24

FROM node:${NODE}-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      containernetworking-plugins iproute2 nftables && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
# The addon is built by ours below; nothing that packages would run at install time is needed.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build && scripts/image-root /image

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/sbin:/usr/bin
# Manager and webhook run as this user; the DaemonSet says root for itself.
USER 65532:65532
ENTRYPOINT ["/usr/bin/node", "/opt/hybridnet/dist/hybridnet.mjs"]
CMD ["--help"]
