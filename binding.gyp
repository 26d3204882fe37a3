{
  "targets": [
    {
      "target_name": "hybridnet",
      "sources": ["<!@(ls native/*.cc)"],
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api"],
      "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_ADDON_API_REQUIRE_BASIC_FINALIZERS",
                  # A worker terminated while a callback of ours runs can throw nothing any more: not a fatal error.
                  "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
    },
    {
      "target_name": "hybridnet-cni",
      "type": "executable",
      "sources": ["<!@(ls cni/src/*.cc)"],
      "defines": ["HYBRIDNET_VERSION=\"<!(node -p \"require('./package.json').version\")\""],
      "cflags_cc!": ["-O3", "-fPIC"],
      "cflags_cc": [
        "-std=c++17",
        "-Os",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fno-exceptions",
        "-fno-rtti",
        "-ffunction-sections",
        "-fdata-sections",
      ],
      "ldflags!": ["-rdynamic"],
      "ldflags": ["-static", "-s", "-Wl,--gc-sections"],
    },
  ],
}
