// Package acme has certificates issued by Pebble, which is an ACME server for tests, and sees to it that they are in use.
package acme
