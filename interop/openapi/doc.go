// Package openapi checks the HTTP API of the stand-alone server against its OpenAPI document: every operation and status of it is
// asked for, and what is asked and answered is validated by JSON Schema, which the schemas of OpenAPI 3.1 are.
// The JSON Schema of configuration files is checked beside what the server takes of them.
package openapi
