package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrHeaderTooLarge says that the header of a response is larger than the client accepts.
var ErrHeaderTooLarge = errors.New("websocket handshake: response header too large")

const (
	// maxHeaderLines bounds what header lines cost beyond their bytes.
	maxHeaderLines = 512
	// maxInterimResponses is as many as net/http accepts.
	maxInterimResponses = 5
)

// ReadResponse reads the answer to r from br: one HTTP/1 response, after at most 5 interim ones, such as 103 Early
// Hints. Their headers together may not exceed maxHeaderBytes and 512 lines, else the error matches [ErrHeaderTooLarge].
// Time is the caller's to bound.
//
// Nothing after the header is consumed: frames that a server sent right behind a 101 are still in br. The body of
// another response is read from br as the caller reads it, past its end too, and is not bounded; closing it reads
// what is left of it, so the caller who is done closes the connection instead.
func ReadResponse(br *bufio.Reader, r *http.Request, maxHeaderBytes int64) (*http.Response, error) {
	bytesLeft, linesLeft := maxHeaderBytes, maxHeaderLines
	for range maxInterimResponses + 1 {
		header, err := readHeader(br, &bytesLeft, &linesLeft)
		if err != nil {
			return nil, err
		}
		// What the parser gets first ends with the header, so it reads on from br only for a body.
		resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(header), br)), r)
		if err != nil {
			// The parser's errors repeat what the server sent, at any length.
			return nil, fmt.Errorf("websocket handshake: %s", quote(err.Error()))
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("websocket handshake: more than %d interim responses", maxInterimResponses)
}

// readHeader reads up to and including the first empty line. It holds no more than the bytes that came.
func readHeader(br *bufio.Reader, bytesLeft *int64, linesLeft *int) ([]byte, error) {
	var header []byte
	lineStart := 0
	for {
		part, err := br.ReadSlice('\n')
		if *bytesLeft -= int64(len(part)); *bytesLeft < 0 {
			return nil, ErrHeaderTooLarge
		}
		header = append(header, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("websocket handshake: reading the response: %w", err)
		}
		if line := header[lineStart:]; len(line) == 1 || len(line) == 2 && line[0] == '\r' {
			return header, nil
		}
		lineStart = len(header)
		if *linesLeft--; *linesLeft < 0 {
			return nil, ErrHeaderTooLarge
		}
	}
}
