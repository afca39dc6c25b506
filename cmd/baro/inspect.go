package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"baro.dev/internal/auth"
)

// inspectOptions is what the flags of inspect say.
type inspectOptions struct {
	keyFile   string
	issuers   []string
	audiences []string
}

func newTokenInspect() *cobra.Command {
	var o inspectOptions
	c := &cobra.Command{
		Use:   "inspect [TOKEN]",
		Short: "Read a token, and say whether it verifies and why not",
		Long: `Read a token, from the argument or from the standard input, and say what is in it. With a key, say whether a server with that key
would accept it and why not; the exit code is 1 if it would not.`,
		Example: `  baro token inspect < token
  baro token inspect --key-file public.pem --audience baro < token`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one token, but was given %d arguments", c.CommandPath(), len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			token, err := readToken(c.InOrStdin(), args)
			if err != nil {
				return err
			}
			return inspectToken(c, &o, token)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.keyFile, "key-file", "", "`file` of the secret, public key or private key (PEM) to verify with; otherwise BARO_TOKEN_SECRET")
	f.StringSliceVar(&o.issuers, "issuer", nil, "issuers that are accepted; any by default")
	f.StringSliceVar(&o.audiences, "audience", nil, "audiences that are accepted; any by default")
	return c
}

func readToken(in io.Reader, args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20+2))
	return strings.TrimSpace(string(text)), err
}

func inspectToken(c *cobra.Command, o *inspectOptions, token string) error {
	out := c.OutOrStdout()
	i, err := auth.Inspect(token)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Header   %s\nClaims   %s\n", pretty(i.Header), pretty(i.Claims))
	now := time.Now()
	for _, t := range []struct {
		label string
		time  time.Time
	}{{"Issued", i.Issued}, {"Begins", i.NotBefore}, {"Expires", i.Expires}} {
		if !t.time.IsZero() {
			fmt.Fprintf(out, "%-8s %s (%s)\n", t.label, t.time.UTC().Format(time.RFC3339), relative(t.time.Sub(now)))
		}
	}
	if i.Expires.IsZero() {
		fmt.Fprintln(out, "Expires  never")
	}
	text, err := tokenKey(o.keyFile)
	if err != nil {
		return err
	}
	if text == nil {
		fmt.Fprintln(out, "Verified no: no key was given")
		return nil
	}
	if err := verifyToken(c, o, text, i, token); err != nil {
		return err
	}
	fmt.Fprintln(out, "Verified yes")
	return nil
}

// verifyToken verifies with whatever key the text is.
func verifyToken(c *cobra.Command, o *inspectOptions, text []byte, i auth.Inspection, token string) error {
	keys, err := auth.PublicKeys(text)
	if err != nil {
		signing, signingErr := auth.ParseSigningKey(text)
		if signingErr != nil {
			return usageError{fmt.Errorf("the key: %w", errors.Join(err, signingErr))}
		}
		keys = []auth.Key{signing.Key()}
	}
	config := auth.Config{Keys: keys, Issuers: o.issuers, Audiences: o.audiences, AllowNoExpiry: i.Expires.IsZero()}
	if len(o.audiences) == 0 {
		config.Audiences = i.Audiences
	}
	v, err := auth.New(config)
	if err != nil {
		return err
	}
	defer v.Close()
	if _, err := v.Verify(c.Context(), token); err != nil {
		return fmt.Errorf("the token does not verify: %w", err)
	}
	return nil
}

func relative(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Second).String() + " ago"
	}
	return "in " + d.Round(time.Second).String()
}

// pretty lays out JSON for a terminal: what could move its cursor, or reorder text, is escaped.
func pretty(data json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, data, "         ", "  ") != nil {
		return ""
	}
	var safe strings.Builder
	for _, r := range b.String() {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&safe, `\u%04x`, unit)
			}
			continue
		}
		safe.WriteRune(r)
	}
	return safe.String()
}
