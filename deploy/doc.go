// Package deploy is what runs baro serve elsewhere: units of systemd, manifests of Kubernetes, configurations of proxies. There is no code
// in it; its tests hold the files against the server's settings. See docs/deployment.md.
package deploy
