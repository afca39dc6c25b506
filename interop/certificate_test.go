package interop

import (
	"testing"

	"baro.dev/internal/testkit"
)

// certificate names the files of a certificate for this machine, signed by itself.
type certificate struct{ cert, key string }

func newCertificate(t *testing.T) certificate {
	t.Helper()
	cert, key, _ := testkit.Certificate(t)
	return certificate{cert, key}
}
