package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/config"
	"baro.dev/internal/neterr"
	"baro.dev/internal/webclient"
)

func newHealthcheck() *cobra.Command {
	var o settings
	var address string
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Say whether the server on this machine is ready",
		Long: `Say whether the server on this machine is ready, by asking its /readyz. The exit code is 1 if it is not. It takes the flags of serve, and
the environment, to know where the server is: at the second listener (--admin-listen), or else the first. It is what a Dockerfile's
HEALTHCHECK runs.`,
		Example: `  baro healthcheck
  baro healthcheck --config baro.yml
  baro healthcheck --url http://127.0.0.1:9001/readyz`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			urls := []string{address}
			if address == "" {
				if err := o.load(c); err != nil {
					return usageError{err}
				}
				var err error
				if urls, err = readyURLs(&o.Config); err != nil {
					return usageError{err}
				}
			}
			var err error
			for _, u := range urls {
				err = askReady(c.Context(), u)
				if !errors.Is(err, neterr.ErrRefused) {
					break
				}
			}
			if err == nil {
				fmt.Fprintln(c.OutOrStdout(), "ready")
			}
			return err
		},
	}
	c.Flags().StringVar(&address, "url", "", "`URL` to ask instead")
	o.declare(c, "the `file` that serve was given", false)
	return c
}

// readyURLs are where the server may be asked, the best first: the second listener is not there if something else had its usual address.
func readyURLs(o *config.Config) ([]string, error) {
	var urls []string
	if o.Server.AdminListen != "" {
		u, err := localURL("http", o.Server.AdminListen)
		if err != nil {
			return nil, err
		}
		if urls = append(urls, u); !o.Server.AdminOptional {
			return urls, nil
		}
	}
	scheme := "http"
	if o.Server.TLSCert != "" || len(o.Server.ACME.Domains) > 0 {
		scheme = "https"
	}
	u, err := localURL(scheme, o.Server.Listen)
	return append(urls, u), err
}

// localURL is that of /readyz on a listener, from the same machine.
func localURL(scheme, listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("the address %q: %w", listen, err)
	}
	if port == "0" {
		return "", fmt.Errorf("the address %q does not say which port: give --url", listen)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/readyz", nil
}

// healthTimeout is how long the answer may take: less than a HEALTHCHECK usually allows.
const healthTimeout = 5 * time.Second

// askReady asks whether a server is ready. Who it is it need not prove on this machine.
func askReady(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return usageError{fmt.Errorf("%q is no URL: %w", address, cmp.Or(err, errors.New("it has no host")))}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return usageError{err}
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: local}} // and no proxy
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	response = webclient.Unswitched(response)
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return fmt.Errorf("not ready: %s answers %s: %s", address, response.Status, strings.TrimSpace(string(body)))
}
