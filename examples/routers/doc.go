// Package routers mounts Socket.IO under the routers that people use: it is an http.Handler, and so the way is theirs. This is
// a module of its own, so that nobody who uses Baro gets their dependencies.
package routers
