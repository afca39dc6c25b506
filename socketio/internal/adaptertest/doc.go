// Package adaptertest is what every adapter for clusters is held to: three servers that share one behave as one server, in every
// direction. Only tests import it.
package adaptertest
