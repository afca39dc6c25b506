// Package webtransport serves Engine.IO, and so Socket.IO, over WebTransport: an HTTP/3 server whose sessions of WebTransport are
// found by the engineio.Server among its handlers. It is a package of its own so that engineio does not depend on quic-go.
//
//	engine := &engineio.Server{Options: engineio.Options{
//		Transports: []string{engineio.Polling, engineio.WebSocket, engineio.WebTransport},
//	}}
//	mux.Handle("/engine.io/", engine)
//	overUDP := webtransport.NewServer(mux, &tls.Config{Certificates: certificates})
//	go overUDP.ListenAndServe(":443")
//	err := http.ListenAndServeTLS(":443", cert, key, mux)
//
// The same handler serves TCP: there clients begin with polling, are offered the other transports and upgrade to the best
// one that works. Browsers find WebTransport by the host and port of the page's own server, on UDP.
//
// # Certificates
//
// Browsers trust for WebTransport what they trust for https. In development there is NewCertificate: a page may name the hash of
// a certificate that nobody vouches for, if it is young.
package webtransport
