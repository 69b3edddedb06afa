package promptledger

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// target is what a connection is made of.
type target struct {
	// As gRPC names it.
	address string
	// Absent: plain text.
	tls *tls.Config
	// Sent with each call. Never shown.
	headers map[string]string
}

const keyHeader = "x-api-key"

// key is what opens the server; empty where there is none.
func (t target) key() string { return t.headers[keyHeader] }

// targetOf checks a profile.
func targetOf(p profile, allowPlaintext bool) (target, error) {
	if strings.Contains(p.server, "@") {
		// Whatever stands before it may be a password, so nothing of it is shown.
		return target{}, invalidOptions("%s holds a user or a password, which an address of a server does not have: "+
			"write http://HOST:PORT or https://HOST:PORT, and give the key by WithAPIKey, LEDGER_API_KEY or api_key", p.named("the address"))
	}
	address, err := url.Parse(p.server)
	if err != nil || !isServer(address) {
		return target{}, invalidOptions("%s is no address of a server; write http://HOST:PORT or https://HOST:PORT", p.shown(p.server))
	}
	secure, host := address.Scheme == "https", address.Hostname()
	useless := ""
	if !secure {
		useless = p.tlsSettings()
	}
	switch {
	case useless != "":
		return target{}, invalidOptions(
			"%s cannot be used with http://, which is not encrypted: write https://, or leave the TLS settings out", useless)
	case !secure && p.apiKey != "" && !allowPlaintext && !isLoopback(host):
		return target{}, invalidOptions(
			"the API key would go to %s unencrypted: write https://, or use WithAllowPlaintext where the way is safe", p.shown(host))
	case p.apiKey == developmentKey && !isLoopback(host):
		return target{}, invalidOptions("the development key goes to this machine alone, not to %s: make a key there", p.shown(host))
	case !isHeader(p.apiKey):
		return target{}, invalidOptions("%s holds characters that no key has; was it copied whole, without line breaks?", p.named("the api_key"))
	case !isHeader(p.project):
		return target{}, invalidOptions("%s holds characters that no name of a project has", p.named("the project"))
	}
	result := target{headers: map[string]string{}}
	if p.apiKey != "" {
		result.headers[keyHeader] = p.apiKey
	}
	if p.project != "" {
		result.headers["x-ledger-project"] = p.project
	}
	port := address.Port()
	if port == "" {
		port = "80"
		if secure {
			port = "443"
		}
	}
	result.address = "dns:///" + net.JoinHostPort(host, port)
	if secure {
		if result.tls, err = tlsOf(p); err != nil {
			return target{}, err
		}
	}
	return result, nil
}

func isServer(address *url.URL) bool {
	if address.Scheme != "http" && address.Scheme != "https" || address.Hostname() == "" || address.User != nil {
		return false
	}
	if address.Path != "" && address.Path != "/" || address.RawQuery != "" || address.Fragment != "" {
		return false
	}
	port, err := strconv.ParseUint(address.Port(), 10, 16)
	return address.Port() == "" || err == nil && port > 0
}

// isLoopback says whether a host is localhost or a loopback address, also as ::ffff:127.0.0.1.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// isHeader says whether a value can be sent as it is: printable ASCII, without blanks at its ends.
func isHeader(value string) bool {
	if strings.TrimSpace(value) != value {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
}

// tlsOf reads certificates and keys. Without certificates of its own, those of the system vouch for the server.
func tlsOf(p profile) (*tls.Config, error) {
	if (p.tlsCert == "") != (p.tlsKey == "") {
		return nil, invalidOptions("the client's certificate and its key belong together: give both or neither")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.tlsCA != "" {
		content, err := os.ReadFile(p.tlsCA)
		if err != nil {
			return nil, invalidOptions("%s: %s", p.named("tls_ca"), p.problem(err))
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(content) {
			return nil, invalidOptions("%s holds no certificate in PEM form", p.named("tls_ca"))
		}
	}
	if p.tlsCert != "" {
		own, err := tls.LoadX509KeyPair(p.tlsCert, p.tlsKey)
		if err != nil {
			return nil, invalidOptions("%s: %s", p.named("tls_cert, tls_key"), p.problem(err))
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}
