// Package openapi checks the HTTP API of the stand-alone server against its OpenAPI document, by an implementation of OpenAPI of
// other people. It is a module of its own for what that depends on.
package openapi
