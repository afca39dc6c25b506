package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/auth"
)

func newToken() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make and read tokens, secrets and API keys",
		Long: `Make and read the tokens of users and devices (JSON Web Tokens), the secrets and key pairs that sign them, and the API
keys of backends.

A key is never given on the command line, which others on the machine can read: it is in a file, or in BARO_TOKEN_SECRET.`,
		Example: `  baro token secret > secret
  baro token mint --key-file secret --user kim --subscribe 'rooms/**' --expires 1h
  baro token inspect --key-file secret < token
  baro token key --scope publish,read`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokenMint(), newTokenInspect(), newTokenSecret(), newTokenKey())
	return c
}

// mintOptions is what the flags of mint say beside the claims.
type mintOptions struct {
	keyFile  string
	claims   auth.Claims
	expires  time.Duration
	noExpiry bool
	info     string
	meta     string
	other    []string
}

func newTokenMint() *cobra.Command {
	var o mintOptions
	c := &cobra.Command{
		Use:   "mint",
		Short: "Make a token",
		Long: `Make a token, and print it.

The key is a secret, or a private key in PEM form; its kind decides the algorithm: HS256, RS256, ES256, ES384, ES512 or EdDSA.`,
		Example: `  baro token mint --key-file secret --user kim --channels news --subscribe 'rooms/**' --publish 'rooms/*/chat'
  baro token mint --key-file private.pem --user kim --info '{"name":"Kim"}' --expires 15m --claim tenant='"acme"'
  BARO_TOKEN_SECRET="$(cat secret)" baro token mint --user kim`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return mintToken(c.OutOrStdout(), &o) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.keyFile, "key-file", "", "`file` of the secret, or private key (PEM), to sign with; otherwise BARO_TOKEN_SECRET")
	f.StringVarP(&o.claims.User, "user", "u", "", "whose token it is (sub)")
	f.StringSliceVar(&o.claims.Channels, "channels", nil, "`names` of channels that are subscribed to when the client connects")
	f.StringSliceVar(&o.claims.Subscribe, "subscribe", nil, "`patterns` of channels that may be subscribed to")
	f.StringSliceVar(&o.claims.Publish, "publish", nil, "`patterns` of channels that may be published to")
	f.StringSliceVar(&o.claims.Presence, "presence", nil, "`patterns` of channels whose presence may be seen")
	f.StringSliceVar(&o.claims.History, "history", nil, "`patterns` of channels whose history may be read")
	f.DurationVarP(&o.expires, "expires", "e", time.Hour, "how long it is valid")
	f.BoolVar(&o.noExpiry, "no-expiry", false, "valid for ever; servers refuse it unless told otherwise")
	f.StringVar(&o.info, "info", "", "what others see of the user in presence (`JSON`)")
	f.StringVar(&o.meta, "meta", "", "what the backend is told of the user, and nobody else (`JSON`)")
	f.StringVar(&o.claims.Issuer, "issuer", "", "who issues it (iss)")
	f.StringVar(&o.claims.Audience, "audience", "", "whom it is for (aud)")
	f.StringVar(&o.claims.KeyID, "key-id", "", "which key signs it (kid)")
	f.StringArrayVar(&o.other, "claim", nil, "another claim, `NAME=JSON`, or NAME=text; can be repeated")
	return c
}

func mintToken(out io.Writer, o *mintOptions) error {
	text, err := tokenKey(o.keyFile)
	if err != nil {
		return err
	}
	if text == nil {
		return usageError{errors.New("there is no key to sign with: give --key-file, or BARO_TOKEN_SECRET in the environment")}
	}
	key, err := auth.ParseSigningKey(text)
	if err != nil {
		return usageError{fmt.Errorf("the key: %w", err)}
	}
	if o.expires <= 0 {
		return usageError{fmt.Errorf("--expires %v: it must be positive", o.expires)}
	}
	o.claims.Info, o.claims.Meta = json.RawMessage(o.info), json.RawMessage(o.meta)
	o.claims.Issued = time.Now()
	if !o.noExpiry {
		o.claims.Expires = o.claims.Issued.Add(o.expires)
	}
	if o.claims.Other, err = otherClaims(o.other); err != nil {
		return usageError{err}
	}
	token, err := auth.Mint(key, o.claims)
	if err != nil {
		return usageError{err}
	}
	fmt.Fprintln(out, token)
	return nil
}

// otherClaims reads NAME=VALUE. A value that is not JSON is text.
func otherClaims(list []string) (map[string]any, error) {
	claims := make(map[string]any)
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if _, twice := claims[name]; !ok || name == "" || twice {
			return nil, fmt.Errorf("--claim %q: it must be NAME=VALUE, each name once", s)
		}
		if json.Valid([]byte(value)) {
			claims[name] = json.RawMessage(value)
		} else {
			claims[name] = value
		}
	}
	return claims, nil
}

// tokenKey reads a secret or key from a file, or from the environment; nil if there is none.
func tokenKey(file string) ([]byte, error) {
	if file == "" {
		if secret := os.Getenv("BARO_TOKEN_SECRET"); secret != "" {
			return []byte(secret), nil
		}
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usageError{err}
	}
	return bytes.TrimRight(text, "\r\n"), nil
}

func newTokenSecret() *cobra.Command {
	var kind, out string
	c := &cobra.Command{
		Use:   "secret",
		Short: "Make a secret, or a key pair, that signs tokens",
		Long: `Make what signs tokens: a secret, which whoever makes tokens and whoever verifies them share, and which is printed; or a key
pair, of which the server needs the public part only, in two files.`,
		Example: `  baro token secret > secret
  baro token secret --type ed25519 --out key.pem     # and key.pem.pub`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return makeSecret(c.OutOrStdout(), kind, out) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&kind, "type", "t", "hmac", "hmac, a secret; ed25519, ecdsa or rsa, a key pair")
	f.StringVarP(&out, "out", "o", "", "new `file` for it, that only its owner can read; the public key goes beside it, in FILE.pub")
	completeWith(c, "type", "hmac", "ed25519", "ecdsa", "rsa")
	return c
}

func makeSecret(stdout io.Writer, kind, out string) error {
	if kind == "hmac" {
		secret := auth.NewSecret() + "\n"
		if out == "" {
			fmt.Fprint(stdout, secret)
			return nil
		}
		return writeNew(out, []byte(secret), 0o600)
	}
	if out == "" {
		return usageError{errors.New("a key pair goes into files: name the first with --out")}
	}
	private, public, err := auth.NewKeyPair(kind)
	if err != nil {
		return usageError{err}
	}
	if err := writeNew(out, private, 0o600); err != nil {
		return err
	}
	return writeNew(out+".pub", public, 0o644)
}

// writeNew writes a file that was not there.
func writeNew(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already, and is not overwritten", name)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func newTokenKey() *cobra.Command {
	var id string
	var scopes, channels []string
	c := &cobra.Command{
		Use:   "key",
		Short: "Make an API key for a backend",
		Long: `Make an API key for a backend: print the key, which is kept nowhere and cannot be had again, and what the configuration
of the server says of it, in which the key itself is not.

Scopes: publish (publish, batch, broadcast), call (call), read (presence, history, channels, connections, info),
manage (subscribe, unsubscribe, disconnect).`,
		Example: `  baro token key --scope publish,read
  baro token key --id shop --scope publish --channel 'shop/**'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var list []auth.Scope
			for _, s := range scopes {
				list = append(list, auth.Scope(s))
			}
			text, key, err := auth.NewKey(id, list, channels)
			if err != nil {
				return usageError{err}
			}
			entry, err := marshalPlain(key)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Key, shown this once:   %s\nFor the configuration:  %s\n", text, entry)
			return nil
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&id, "id", "", "by what name it is known: a-z and 0-9; random by default")
	f.StringSliceVar(&scopes, "scope", nil, "`scopes`: publish, call, read, manage")
	f.StringSliceVar(&channels, "channel", nil, "`patterns` of the channels that it may touch; all by default")
	completeWith(c, "scope", "publish", "call", "read", "manage")
	return c
}

// marshalPlain is json.Marshal without escapes for HTML.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
