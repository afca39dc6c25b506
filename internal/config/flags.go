package config

import (
	"time"

	"github.com/spf13/pflag"

	"baro.dev/internal/server"
)

// Config is what baro serve is told. [Config.Flags], then [Config.Load] fill it.
type Config struct {
	Server    server.Config
	Drain     time.Duration // how long stopping may take
	LogLevel  string
	LogFormat string
	Traces    Traces

	// Secrets that are in files of their own, which [Config.Load] reads.
	clusterSecretFile, natsPasswordFile, redisPasswordFile string

	file    File
	origins map[string]Origin // by the places of keys, "channels[0].pattern", and the names of variables
}

// Traces is where traces are sent; no endpoint: nowhere.
type Traces struct {
	Endpoint string
	Sample   float64
}

// Flags declares the plain settings, with their defaults. What a flag is called in the file and in the environment follows from its
// name: see [Key]. The name of a value that is a path is file or directory. What is declared here is all that help, the page in
// docs/ and the JSON schema say: go generate writes these.
func (c *Config) Flags(set *pflag.FlagSet) {
	set.SortFlags = false
	s, ch := &c.Server, &c.Server.Channels

	f := section{set, "Where to serve, and whom"}
	f.StringVarP(&s.Listen, "listen", "l", ":8000", "address to serve on")
	s.AdminListen, s.AdminOptional = "127.0.0.1:8001", true
	f.Var(adminFlag{s}, "admin-listen", "`address` of a second listener, for the API, metrics, health and profiles; \"\" for none")
	f.BoolVar(&s.NoPublicAPI, "no-public-api", false, "have the API on the second listener alone")
	f.BoolVar(&s.Pprof, "pprof", true, "have profiles (pprof) on the second listener").reloads()
	f.StringSliceVar(&s.AllowOrigins, "allow-origin", nil, "`origins` whose pages may use the server, beside its own; separated by commas, or repeated").
		example("[https://www.example.com]").reloads()
	f.StringSliceVar(&s.TrustedProxies, "trusted-proxy", nil, "addresses and `networks` of proxies whose Forwarded and X-Forwarded-For are believed, loopback, or private").
		example("[10.0.0.0/8, loopback]").reloads()
	f.BoolVar(&s.ProxyProtocol, "proxy-protocol", false, "expect the PROXY protocol, version 1 or 2, of trusted proxies")
	f.BoolVar(&s.Dev, "dev", false, "for one's own machine: everybody may do everything, without a token; permits --allow-origin '*'")
	f.BoolVar(&s.Anonymous, "anonymous", false, "let clients in without a token; the rules say what they may").reloads()
	f.BoolVar(&s.NoConsole, "no-console", false, "leave out the page at /").reloads()

	f = section{set, "TLS, HTTP/2 and HTTP/3"}
	f.StringVar(&s.TLSCert, "tls-cert", "", "certificate (PEM `file`): speak TLS, HTTP/2, and HTTP/3 on UDP").example("cert.pem")
	f.StringVar(&s.TLSKey, "tls-key", "", "its key (PEM `file`)").example("key.pem").secret()
	f.StringVar(&s.TLSClients.CA, "tls-client-ca", "", "authorities (PEM `file`) whose certificates clients may show").example("devices.pem")
	f.StringVar((*string)(&s.TLSClients.Auth), "tls-client-auth", "none", "whether clients are to show certificates: none, request or require").
		oneOf("none", "request", "require")
	f.StringVar((*string)(&s.TLSClients.User), "tls-client-user", "cn", "what of a client's certificate says which user it is: cn (the common name), uri, none").
		oneOf("cn", "uri", "none")
	f.StringVar(&s.TLSClients.CRL, "tls-client-crl", "", "lists (PEM or DER `file`) of the certificates that these authorities have revoked").example("revoked.crl")
	f.BoolVar(&s.HTTP3, "http3", false, "insist on HTTP/3: do not begin if UDP cannot be had on the same port")
	f.BoolVar(&s.NoHTTP3, "no-http3", false, "leave out HTTP/3, and WebTransport with it")

	f = section{set, "Certificates by ACME"}
	f.StringSliceVar(&s.ACME.Domains, "acme-domain", nil, "`domains` to have certificates issued for, instead of --tls-cert: agrees to the terms of Let's Encrypt, or --acme-directory").
		example("[example.com]")
	f.StringVar(&s.ACME.Email, "acme-email", "", "`address` that the authority may write to").example("admin@example.com")
	f.StringVar(&s.ACME.Directory, "acme-directory", "", "`URL` of the authority; Let's Encrypt").example("https://acme.example.com/directory")
	f.StringVar(&s.ACME.CA, "acme-ca", "", "who vouches for that URL (PEM `file`); whom the system trusts").example("acme.pem")
	f.StringVar(&s.ACME.Storage, "acme-storage", "", "`directory` of certificates, keys and the account; acme in --data").example("certificates")
	f.StringVar(&s.ACME.HTTPListen, "acme-http-listen", "", "`address` for challenges over plain HTTP; other requests are sent on to https").example("\":80\"")

	f = section{set, "What is kept"}
	f.StringVar(&s.Data, "data", "", "`directory` to keep messages in; without one they are lost when the server stops").example("messages")
	f.BoolVar(&s.NoSync, "no-sync", false, "do not wait for the disk: what is acknowledged survives the end of the process, but not a power loss")
	f.IntVar(&ch.HistoryCount, "history-count", 1000, "messages that a channel keeps; -1 for none").reloads()
	sizeVar(f, &ch.HistoryBytes, "history-bytes", 4<<20, "`bytes` of messages that a channel keeps").reloads()
	f.DurationVar(&ch.HistoryAge, "history-age", 5*time.Minute, "how long a message is kept, and an unused channel remembered").reloads()
	f.IntVar(&ch.MaxChannels, "max-channels", 100_000, "channels; beyond it the idle ones go").reloads()
	sizeVar(f, &ch.MaxBytes, "max-bytes", 256<<20, "`bytes` of messages that all channels keep together").reloads()
	sizeVar(f, &ch.MaxMessageBytes, "max-message-bytes", 256<<10, "`bytes` of a message")

	k := &s.Cluster
	f = section{set, "A cluster"}
	f.BoolVar(&k.Embedded, "cluster", false, "be a node of a cluster, with NATS inside, which keeps messages in --data")
	f.StringSliceVar(&k.Peers, "cluster-peers", nil, "`addresses` of the nodes that the cluster begins with, this one's too; a name may stand for many").
		example("[\"baro-0.baro:6222\", \"baro-1.baro:6222\", \"baro-2.baro:6222\"]")
	f.StringVar(&k.Listen, "cluster-listen", ":6222", "address for the other nodes")
	f.StringVar(&k.Advertise, "cluster-advertise", "", "`address` by which they reach this one, if that is another").example("\"10.0.0.1:6222\"")
	f.StringVar(&c.clusterSecretFile, "cluster-secret-file", "", "`file` of the secret that the nodes know each other by; needed beyond one machine").example("cluster.secret").secret()
	f.StringVar(&k.TLS.Cert, "cluster-cert", "", "certificate (PEM `file`) that the nodes show each other").example("node.pem")
	f.StringVar(&k.TLS.Key, "cluster-key", "", "its key (PEM `file`)").example("node.key").secret()
	f.StringVar(&k.TLS.CA, "cluster-ca", "", "the authority (PEM `file`) of the nodes' certificates").example("nodes.pem")
	f.IntVar(&k.Replicas, "cluster-replicas", 0, "nodes, or servers of --nats, that keep the same messages; 0: 3 with three --cluster-peers or more, otherwise 1. Of --redis: replicas beside the master that have a message before it is acknowledged")
	sizeVar(f, &k.MaxMemory, "cluster-max-memory", 256<<20, "`bytes` of memory that NATS inside may take for what is kept")
	sizeVar(f, &k.MaxDisk, "cluster-max-disk", 0, "`bytes` of the disk that it may take; 0: three quarters of what is free")
	f.StringVar(&k.Name, "cluster-name", "baro", "`name` of the cluster, which what it has in a broker begins with: several may share one")
	f.StringVar(&k.Node, "node-name", "", "`name` of this server, unlike all others: operators know it by that, and with --cluster a lost disk is made good under it; that of the host").example("baro-0")
	f.StringSliceVar(&k.NATS.URLs, "nats", nil, "`URLs` of a NATS with JetStream that joins servers, in place of --cluster").example("[\"nats://nats:4222\"]")
	f.StringVar(&k.NATS.Credentials, "nats-credentials", "", "who this server is to NATS: a `file` as nsc makes it").example("baro.creds").secret()
	f.StringVar(&k.NATS.User, "nats-user", "", "or a `user`, with --nats-password-file").example("baro")
	f.StringVar(&c.natsPasswordFile, "nats-password-file", "", "`file` of the user's password").example("nats.password").secret()
	f.StringVar(&k.NATS.TLS.Cert, "nats-cert", "", "certificate (PEM `file`) to show NATS").example("client.pem")
	f.StringVar(&k.NATS.TLS.Key, "nats-key", "", "its key (PEM `file`)").example("client.key").secret()
	f.StringVar(&k.NATS.TLS.CA, "nats-ca", "", "the authority (PEM `file`) of the certificate of NATS; whom the system trusts").example("nats.pem")
	f.StringVar(&k.Redis.URL, "redis", "", "`URL` of a Redis that joins servers: redis://HOST, redis+sentinel://HOST,HOST/MASTER, redis+cluster://HOST,HOST; rediss for TLS").
		example("redis://redis:6379")
	f.StringVar(&k.Redis.User, "redis-user", "", "`user` of Redis, where it is not the default one").example("baro")
	f.StringVar(&c.redisPasswordFile, "redis-password-file", "", "`file` of the password for Redis").example("redis.password").secret()
	f.StringVar(&k.Redis.TLS.Cert, "redis-cert", "", "certificate (PEM `file`) to show Redis").example("client.pem")
	f.StringVar(&k.Redis.TLS.Key, "redis-key", "", "its key (PEM `file`)").example("client.key").secret()
	f.StringVar(&k.Redis.TLS.CA, "redis-ca", "", "the authority (PEM `file`) of the certificate of Redis; whom the system trusts").example("redis.pem")

	f = section{set, "Limits"}
	f.IntVar(&s.MaxConnections, "max-connections", 65_536, "connections of TCP and UDP, and streams, waiting polls and WebSockets on them").reloads()
	f.IntVar(&s.MaxHandshakes, "max-handshakes", 256, "TLS handshakes at a time; another one waits for a moment, and is closed then")
	f.IntVar(&s.MaxConnectionsPerAddress, "max-connections-per-address", 0, "of these one address may have, or one /64 of IPv6; 0: no bound").reloads()
	f.IntVar(&s.MaxConnectionsPerUser, "max-connections-per-user", 0, "clients of one user; 0: no bound").reloads()
	f.IntVar(&s.MaxChannelsPerConnection, "max-channels-per-connection", 1000, "channels that one client of /ws or Socket.IO may subscribe to").reloads()
	f.IntVar(&s.ConnectRate, "connect-rate", 0, "clients that may connect in a second, in all; 0: no bound").reloads()
	f.IntVar(&s.ConnectBurst, "connect-burst", 0, "clients that may connect at a time after a pause; 0: those of a second").reloads()
	f.IntVar(&s.MessageRate, "message-rate", 0, "messages a second of one connection, which is read more slowly beyond it; 0: no bound").reloads()
	sizeVar(f, &s.ByteRate, "byte-rate", 0, "`bytes` a second of one connection, likewise; 0: no bound").reloads()
	sizeVar(f, &s.QueueBytes, "queue-bytes", 1<<20, "`bytes` that may wait for a client that reads slowly, until it is cut")
	f.IntVar(&s.MaxFailures, "max-failures", 100, "wrong API keys, and wrong tokens, that are looked at from a public address in a minute; -1 for any number")
	f.DurationVar(&s.MaxWait, "max-wait", time.Minute, "how long a long poll may wait").reloads()
	f.DurationVar(&s.Heartbeat, "heartbeat", 25*time.Second, "after how long a silent stream gives a sign of life")
	f.DurationVar(&s.WriteTimeout, "write-timeout", 20*time.Second, "how long a client may take to accept an answer, or 64 KiB of a stream")

	f = section{set, "When the server stops"}
	f.DurationVar(&s.DrainDelay, "drain-delay", 0, "how long to serve on, not ready any more, before clients are told to go").reloads()
	f.DurationVar(&s.DrainWindow, "drain-window", 10*time.Second, "over what time clients are told to go, evenly; -1s for all at once").reloads()
	f.DurationVar(&s.ReconnectWindow, "reconnect-window", 5*time.Second, "over what time clients are told to spread their return, when the server stops").reloads()
	f.DurationVar(&c.Drain, "drain-timeout", 30*time.Second, "how long stopping may take, until what is left is cut").reloads()

	f = section{set, "Logs"}
	f.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error").oneOf("debug", "info", "warn", "error").reloads()
	f.StringVar(&c.LogFormat, "log-format", "auto", "text, json, or auto: text on a terminal").oneOf("text", "json", "auto")

	f = section{set, "Traces"}
	f.StringVar(&c.Traces.Endpoint, "trace-endpoint", "", "`URL` of an OpenTelemetry collector (OTLP over HTTP) that traces are sent to; OTEL_EXPORTER_OTLP_ENDPOINT, if that is there").
		example("http://localhost:4318")
	f.Float64Var(&c.Traces.Sample, "trace-sample", 1, "which `part` of the traces that begin here is sent, 0 to 1")
}
