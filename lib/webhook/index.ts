// Admission: rules for our kinds and for pods, the HTTPS server that answers by them, and the certificates and
// configurations that make the API server ask. See README.md.
export { startWebhook, type Webhook, type WebhookOptions } from './webhook.ts'
export type { RuleOptions } from './judge.ts'
export type { CertificateFiles } from './certificates/files.ts'
export { webhookConfigurations, type ServiceReference, type WebhookConfiguration } from './configuration.ts'
