package server

import (
	"maps"
	"reflect"
	"slices"

	"baro.dev/internal/auth"
)

// current is what holds until the next reload: what decides about a request asks [Server.now] once. It is not changed.
type current struct {
	Config   // as it is in effect: what cannot change is as it was when the server began
	origins  *origins
	verifier *auth.Verifier // nil: no tokens are verified
}

// now is what holds at the moment.
func (s *Server) now() *current { return s.live.Load() }

// fixed are the settings that hold until the server is started anew, by their keys in a configuration: sockets, stores, and what
// connections that are there were promised, or are built with. All others take effect by a reload, and are to be read by [Server.now].
func (c *Config) fixed() map[string]any {
	return map[string]any{
		"listen":            &c.Listen,
		"admin_listen":      &c.AdminListen,
		"no_public_api":     &c.NoPublicAPI,
		"tls.cert":          &c.TLSCert,
		"tls.key":           &c.TLSKey,
		"tls.client_ca":     &c.TLSClients.CA,
		"tls.client_auth":   &c.TLSClients.Auth,
		"tls.client_user":   &c.TLSClients.User,
		"tls.client_crl":    &c.TLSClients.CRL,
		"acme.domain":       &c.ACME.Domains,
		"acme.email":        &c.ACME.Email,
		"acme.directory":    &c.ACME.Directory,
		"acme.ca":           &c.ACME.CA,
		"acme.storage":      &c.ACME.Storage,
		"acme.http_listen":  &c.ACME.HTTPListen,
		"max_handshakes":    &c.MaxHandshakes,
		"max_failures":      &c.MaxFailures,
		"http3":             &c.HTTP3,
		"no_http3":          &c.NoHTTP3,
		"dev":               &c.Dev,
		"data":              &c.Data,
		"no_sync":           &c.NoSync,
		"max_message_bytes": &c.Channels.MaxMessageBytes,
		"queue_bytes":       &c.QueueBytes,
		"proxy_protocol":    &c.ProxyProtocol,
		"heartbeat":         &c.Heartbeat,
		"header_timeout":    &c.HeaderTimeout,
		"max_header_bytes":  &c.MaxHeaderBytes,
		"body_timeout":      &c.BodyTimeout,
		"write_timeout":     &c.WriteTimeout,
		"idle_timeout":      &c.IdleTimeout,

		"cluster":             &c.Cluster.Embedded,
		"cluster_peers":       &c.Cluster.Peers,
		"cluster_listen":      &c.Cluster.Listen,
		"cluster_advertise":   &c.Cluster.Advertise,
		"cluster_secret_file": &c.Cluster.Secret,
		"cluster_cert":        &c.Cluster.TLS.Cert,
		"cluster_key":         &c.Cluster.TLS.Key,
		"cluster_ca":          &c.Cluster.TLS.CA,
		"cluster_replicas":    &c.Cluster.Replicas,
		"cluster_max_memory":  &c.Cluster.MaxMemory,
		"cluster_max_disk":    &c.Cluster.MaxDisk,
		"cluster_name":        &c.Cluster.Name,
		"node_name":           &c.Cluster.Node,
		"nats":                &c.Cluster.NATS.URLs,
		"nats_credentials":    &c.Cluster.NATS.Credentials,
		"nats_user":           &c.Cluster.NATS.User,
		"nats_password_file":  &c.Cluster.NATS.Password,
		"nats_cert":           &c.Cluster.NATS.TLS.Cert,
		"nats_key":            &c.Cluster.NATS.TLS.Key,
		"nats_ca":             &c.Cluster.NATS.TLS.CA,
		"redis":               &c.Cluster.Redis.URL,
		"redis_user":          &c.Cluster.Redis.User,
		"redis_password_file": &c.Cluster.Redis.Password,
		"redis_cert":          &c.Cluster.Redis.TLS.Cert,
		"redis_key":           &c.Cluster.Redis.TLS.Key,
		"redis_ca":            &c.Cluster.Redis.TLS.CA,
		"redis_sentinel":      &c.Cluster.Redis.SentinelPassword,
	}
}

// Fixed are the keys of the settings that [Server.Reload] cannot change.
func Fixed() []string { return slices.Sorted(maps.Keys(new(Config).fixed())) }

// keep gives c what was fixed by another one, and says by their keys which settings would have been others.
func (c *Config) keep(old *Config) (unchanged []string) {
	before := old.fixed()
	for key, setting := range c.fixed() {
		now, was := reflect.ValueOf(setting).Elem(), reflect.ValueOf(before[key]).Elem()
		if !reflect.DeepEqual(now.Interface(), was.Interface()) {
			unchanged = append(unchanged, key)
			now.Set(was)
		}
	}
	slices.Sort(unchanged)
	return unchanged
}
