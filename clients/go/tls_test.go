package promptledger_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
	"github.com/prompt-ledger/prompt-ledger/clients/go/ledgertest"
)

// certificate makes one of one's own for this machine, and returns the paths of its PEM file and of its key's.
func certificate(t *testing.T) (certPath, keyPath string) {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	folder := t.TempDir()
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certPath = write("cert.pem", "CERTIFICATE", must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template,
		&key.PublicKey, key)))
	return certPath, write("key.pem", "PRIVATE KEY", must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key)))
}

func TestTLSWithACertificateOfOnesOwn(t *testing.T) {
	certPath, keyPath := certificate(t)
	server := ledgertest.Server(t, ledgertest.WithEnvironment(map[string]string{"TLS_CERT": certPath, "TLS_KEY": keyPath}))
	secure := promptledger.WithServer(strings.Replace(server.Address, "http://", "https://", 1))
	trusting := server.Connect(t, secure, promptledger.WithTLSCA(certPath), promptledger.WithTLSCertificate(certPath, keyPath))
	put(t, trusting, "greet", "Hi", promptledger.WithSetActive(true))
	if result := must[*promptledger.Execution](t)(trusting.Stream(t.Context(), "greet",
		nil).Result(inTime(t))); result.Err() != nil {
		t.Error(result.Err())
	}
	wary := server.Connect(t, secure, promptledger.WithTimeout(500*time.Millisecond))
	_, err := wary.Prompts.Get(t.Context(), "greet")
	// The last attempt may find the deadline first.
	if _, late := errors.AsType[*promptledger.DeadlineExceeded](err); !late {
		wantError[*promptledger.Unavailable](t, err)
	}
}

func TestAProfileIsConnectedTo(t *testing.T) {
	server, err := dev()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.toml")
	content := "[profiles.tests]\nserver = \"" + server.Address + "\"\napi_key = \"" + server.APIKey + "\"\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LEDGER_CONFIG", path)
	ledger := must[*promptledger.Client](t)(promptledger.Connect(promptledger.WithProfile("tests"),
		promptledger.WithAllowPlaintext()))
	defer ledger.Close()
	put(t, ledger, t.Name(), "Hi")
	_, err = promptledger.Connect(promptledger.WithProfile("others"))
	wantError[*promptledger.InvalidOptions](t, err)
}
