package server

import (
	"errors"
	"net/http"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

// hello is what a request says of whoever sent it. The error is one that [clients.ErrorOf] knows.
func (s *Server) hello(r *http.Request, transport string) (clients.Hello, error) {
	token, err := auth.TokenOf(r)
	if err != nil && !errors.Is(err, auth.ErrMissing) {
		return clients.Hello{}, err
	}
	h := clients.Hello{Token: token, Transport: transport, Remote: r.RemoteAddr, Header: r.Header}
	k := s.certified(r)
	h.User, h.Until = k.user, k.until
	return h, k.err
}

// identify says who sends a request.
func (s *Server) identify(r *http.Request, transport string) (*clients.Identity, clients.Hello, error) {
	h, err := s.hello(r, transport)
	if err != nil {
		return nil, h, err
	}
	identity, err := s.registry.Identify(r.Context(), h)
	return identity, h, err
}

// explain has whoever was refused for want of a token, and has shown an API key, know the difference.
func explain(r *http.Request, err error) error {
	if !errors.Is(err, clients.ErrCredentials) {
		return err
	}
	if key, missing := auth.KeyOf(r); missing != nil || !auth.IsKey(key) {
		return err
	}
	return clients.ErrCredentials.With("what is shown is an API key, which is for backends: for " + apiRoot + ", and to publish; who reads needs a token")
}

// visitor says who sends a request for a WebSocket, of whom there is room for another connection.
func (s *Server) visitor(r *http.Request, transport string) (*clients.Identity, clients.Hello, error) {
	if !s.lets() {
		return nil, clients.Hello{}, clients.ErrConnects
	}
	identity, h, err := s.identify(r, transport)
	if err == nil {
		err = s.registry.RoomFor(identity)
	}
	return identity, h, err
}

// backend says what a backend may that sends a request with an API key. Without a key the error is of the kind [auth.ErrMissing].
func (s *Server) backend(r *http.Request) (auth.Grant, error) {
	text, err := auth.KeyOf(r)
	if err != nil {
		return auth.Grant{}, err
	}
	keys := s.now().Keys
	if keys == nil && s.config.Dev {
		s.needsNoKey.Do(func() { s.log.Info("an API key was shown: in development none is needed, and none is looked at") })
		return auth.Grant{}, auth.ErrMissing
	}
	if keys == nil {
		return auth.Grant{}, clients.ErrCredentials.With("this server knows no API keys")
	}
	var grant auth.Grant
	err = s.wrongKeys.Try(r.RemoteAddr, func() (err error) {
		grant, err = keys.Find(text)
		return err
	})
	return grant, err
}
