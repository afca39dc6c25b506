// Package auth says who a client is and what it may do: JSON Web Tokens (RFC 7519) of users and devices, API keys of
// backends, and how either is found in a request and kept out of a log.
//
// A [Verifier] turns a token into an [Identity]. Which algorithms a key verifies follows from the kind of the key and from
// nothing that a token says, so that a token cannot choose "none", nor have a public key taken for a shared secret. Key sets
// (RFC 7517) are fetched from the URLs of the configuration only. What a token's header says of keys beside its "kid" is
// never looked at.
//
// [Keys] are the API keys of backends, with scopes. [Mint] and [Inspect] are for the command baro token.
package auth
