package promptledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const secret = "pl_very-secret"

// written writes a file of profiles.
func written(t *testing.T, folder, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(folder, "prompt-ledger", "config.toml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const profiles = `
[profiles.default]
server = "http://127.0.0.1:1"
api_key = "of-default"

[profiles.staging]
server = "https://staging.example.com"
api_key = "of-staging"
project = "shop"
tls_ca = "ca.pem"
tls_cert = "cert.pem"
tls_key = "key.pem"
`

func TestAProfileIsTakenWhole(t *testing.T) {
	folder := t.TempDir()
	path := written(t, folder, profiles, 0o600)
	home := t.TempDir()
	written(t, filepath.Join(home, ".config"), profiles, 0o600)
	environment := profile{
		server: "https://a.example.com", apiKey: secret, project: "shop", tlsCA: "ca", tlsCert: "cert", tlsKey: "key",
	}
	staging := profile{
		server: "https://staging.example.com", apiKey: "of-staging", project: "shop", tlsCA: "ca.pem", tlsCert: "cert.pem",
		tlsKey: "key.pem",
	}
	ofDefault := profile{server: "http://127.0.0.1:1", apiKey: "of-default"}
	development := profile{server: developmentServer, apiKey: developmentKey}
	wrongBeside := written(t, t.TempDir(), profiles+"\n[profiles.wrong]\nserver = 3\nregion = \"eu\"\n", 0o600)
	withoutDefault := t.TempDir()
	written(t, withoutDefault, "[profiles.staging]\nserver = \"https://staging.example.com\"\n", 0o600)
	for _, each := range []struct {
		name      string
		explicit  profile
		profile   string
		variables map[string]string
		expected  profile
	}{
		{"explicit", profile{server: "http://localhost"}, "", map[string]string{"LEDGER_SERVER": "x", "LEDGER_API_KEY": secret},
			profile{server: "http://localhost"}},
		{"environment", profile{}, "", map[string]string{
			"LEDGER_SERVER": "https://a.example.com", "LEDGER_API_KEY": secret, "LEDGER_PROJECT": "shop", "LEDGER_TLS_CA": "ca",
			"LEDGER_TLS_CERT": "cert", "LEDGER_TLS_KEY": "key", "LEDGER_CONFIG": path,
		}, environment},
		{"file", profile{}, "", map[string]string{"LEDGER_CONFIG": path, "LEDGER_API_KEY": secret}, ofDefault},
		{"profile of the environment", profile{}, "", map[string]string{"LEDGER_CONFIG": path,
			"LEDGER_PROFILE": "staging"}, staging},
		{"profile of an option", profile{}, "staging", map[string]string{"LEDGER_CONFIG": path, "LEDGER_SERVER": "x"}, staging},
		{"folder of settings", profile{}, "", map[string]string{"XDG_CONFIG_HOME": folder}, ofDefault},
		{"home", profile{}, "", map[string]string{"HOME": home}, ofDefault},
		{"nothing", profile{}, "", map[string]string{"HOME": t.TempDir()}, development},
		{"empty variables", profile{}, "", map[string]string{"LEDGER_SERVER": "", "LEDGER_PROFILE": "",
			"HOME": t.TempDir()}, development},
		{"another profile is not looked at", profile{}, "", map[string]string{"LEDGER_CONFIG": wrongBeside}, ofDefault},
		{"a file in its place without a default", profile{}, "", map[string]string{"XDG_CONFIG_HOME": withoutDefault}, development},
	} {
		found, err := findProfile(each.explicit, each.profile, func(name string) string { return each.variables[name] })
		found.source = ""
		if err != nil || found != each.expected {
			t.Errorf("%s: %+v %v", each.name, found, err)
		}
	}
}

func TestWhatIsWrongWithAProfileIsToldWithoutWhatStandsThere(t *testing.T) {
	const good = "[profiles.default]\nserver = \"http://x\"\n"
	for _, each := range []struct {
		content   string
		mode      os.FileMode
		profile   string
		complaint string
	}{
		{good, 0o600, "other", `no profile "other"`},
		{"[profiles.other]\nserver = \"http://x\"\napi_key = \"" + secret + "\"\n", 0o600, "", `no profile "default"`},
		{good, 0o640, "", "chmod 600"},
		{"[profiles.default]\nserver = \"x\"\napi_key = " + secret + "\n", 0o600, "", "no TOML at line 3"},
		{"profiles = 1", 0o600, "", "something else than tables [profiles.NAME]"},
		{"api_key = \"" + secret + "\"", 0o600, "", "something else than tables [profiles.NAME]"},
		{"api_key = \"" + secret + "\"\n" + good, 0o600, "", "something else than tables [profiles.NAME]"},
		{"[profiles]\ndefault = \"" + secret + "\"", 0o600, "", "a table of texts"},
		{"[profiles.default]\nserver = 1", 0o600, "", "a table of texts"},
		{good + "key = \"" + secret + "\"", 0o600, "", "something else than api_key, project, server"},
		{"[profiles.default]\napi_key = \"" + secret + "\"", 0o600, "", "config.toml names no server: write server ="},
		{"[profiles.a]\nserver = \"\"\napi_key = \"" + secret + "\"", 0o600, "a", `the profile "a" of /`},
		{"[profiles.a]\nserver = \"\"\napi_key = \"" + secret + "\"", 0o600, "a", "config.toml names no server: write server ="},
	} {
		path := written(t, t.TempDir(), each.content, each.mode)
		_, err := findProfile(profile{}, each.profile,
			func(name string) string { return map[string]string{"LEDGER_CONFIG": path}[name] })
		if _, ok := errors.AsType[*InvalidOptions](err); !ok || !strings.Contains(err.Error(), each.complaint) ||
			strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", each.content, err)
		}
	}
	large := written(t, t.TempDir(), good+strings.Repeat("#", largestProfiles), 0o600)
	if _, err := findProfile(profile{}, "", func(name string) string { return map[string]string{"LEDGER_CONFIG": large}[name] }); err == nil ||
		!strings.Contains(err.Error(), "more than 1 MiB") {
		t.Error(err)
	}
	missing := func(name string) string { return map[string]string{"LEDGER_CONFIG": "/nowhere/config.toml"}[name] }
	if _, err := findProfile(profile{}, "", missing); err == nil ||
		!strings.Contains(err.Error(), "there is no /nowhere/config.toml") {
		t.Error(err)
	}
	folder := func(name string) string { return map[string]string{"LEDGER_CONFIG": t.TempDir()}[name] }
	if _, err := findProfile(profile{}, "", folder); err == nil {
		t.Error("a folder is no file")
	}
	if _, err := findProfile(profile{apiKey: secret}, "", missing); err == nil ||
		!strings.Contains(err.Error(), "give the server too") {
		t.Error(err)
	}
}

func TestAnAddressBecomesATarget(t *testing.T) {
	for _, each := range []struct {
		server, address string
		secure          bool
	}{
		{"http://localhost", "dns:///localhost:80", false},
		{"http://127.0.0.1:50051", "dns:///127.0.0.1:50051", false},
		{"http://127.8.8.8:1", "dns:///127.8.8.8:1", false},
		{"http://[::1]:50051/", "dns:///[::1]:50051", false},
		{"http://[::ffff:127.0.0.1]:1", "dns:///[::ffff:127.0.0.1]:1", false},
		{"https://ledger.example.com", "dns:///ledger.example.com:443", true},
		{"https://ledger.example.com:8443", "dns:///ledger.example.com:8443", true},
	} {
		found, err := targetOf(profile{server: each.server, apiKey: secret, project: "shop"}, false)
		if err != nil || found.address != each.address || (found.tls != nil) != each.secure {
			t.Errorf("%s: %+v %v", each.server, found, err)
		}
		if found.headers["x-api-key"] != secret || found.headers["x-ledger-project"] != "shop" {
			t.Error(found.headers)
		}
	}
	if found, err := targetOf(profile{server: "http://10.0.0.1:1", apiKey: secret}, true); err != nil || found.tls != nil {
		t.Error(err)
	}
	if found, err := targetOf(profile{server: "http://10.0.0.1:1"}, false); err != nil || len(found.headers) != 0 {
		t.Error("there is no key to protect:", err)
	}
}

func TestWhatCannotBeATargetIsRefused(t *testing.T) {
	folder := t.TempDir()
	noPEM := filepath.Join(folder, "no.pem")
	if err := os.WriteFile(noPEM, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	const secure = "https://a.example.com"
	for _, each := range []struct {
		profile   profile
		complaint string
	}{
		{profile{server: "127.0.0.1:50051"}, "no address"},
		{profile{server: "ftp://localhost"}, "no address"},
		{profile{server: "http://"}, "no address"},
		{profile{server: "http://localhost:0"}, "no address"},
		{profile{server: "http://localhost:99999"}, "no address"},
		{profile{server: "http://ada@localhost"}, "LEDGER_API_KEY"},
		{profile{server: "http://localhost?key=" + secret}, "no address"},
		{profile{server: "http://localhost#" + secret}, "no address"},
		{profile{server: "http://localhost/path"}, "no address"},
		{profile{server: "http://a b"}, "no address"},
		{profile{server: "http://a.example.com", apiKey: secret}, "go to `a.example.com` unencrypted"},
		{profile{server: "http://a.example.com", apiKey: secret, source: "the profile x"},
			"go to the server of the profile x unencrypted"},
		{profile{server: "http://128.0.0.1", apiKey: secret}, "unencrypted"},
		{profile{server: secure, apiKey: developmentKey}, "development key"},
		{profile{server: secure, apiKey: secret + "\n"}, "characters that no key has"},
		{profile{server: secure, apiKey: "schlüssel"}, "characters that no key has"},
		{profile{server: secure, apiKey: secret + "\n", source: "the profile x"}, "the api_key of the profile x holds"},
		{profile{server: secure, project: " " + secret}, "the project holds characters"},
		{profile{server: secure, project: " " + secret, source: "the profile x"}, "the project of the profile x holds"},
		{profile{server: secure, tlsCert: "cert.pem"}, "belong together"},
		{profile{server: secure, tlsCA: "/nowhere.pem"}, "tls_ca"},
		{profile{server: secure, tlsCA: noPEM}, "no certificate in PEM form"},
		{profile{server: secure, tlsCA: secret, source: "the profile x"}, "tls_ca of the profile x: no such file"},
		{profile{server: secure, tlsCert: secret, tlsKey: noPEM, source: "the profile x"}, "tls_cert, tls_key of the profile x: no such"},
		{profile{server: secure, tlsCert: noPEM, tlsKey: noPEM}, "tls_cert, tls_key"},
	} {
		_, err := targetOf(each.profile, false)
		if _, ok := errors.AsType[*InvalidOptions](err); !ok || !strings.Contains(err.Error(), each.complaint) ||
			strings.Contains(err.Error(), secret) {
			t.Errorf("%+v: %v", each.profile.server, err)
		}
	}
}

func TestTLSSettingsAreRefusedWithHTTP(t *testing.T) {
	const own = "WithTLSCertificate (LEDGER_TLS_CERT, LEDGER_TLS_KEY)"
	for _, each := range []struct {
		profile       profile
		option, field string
	}{
		{profile{tlsCA: secret}, "WithTLSCA (LEDGER_TLS_CA)", "tls_ca"},
		{profile{tlsCert: secret}, own, "tls_cert"},
		{profile{tlsKey: secret}, own, "tls_key"},
		{profile{tlsCert: secret, tlsKey: secret}, own, "tls_cert, tls_key"},
		{profile{tlsCA: secret, tlsKey: secret}, "WithTLSCA (LEDGER_TLS_CA), " + own, "tls_ca, tls_key"},
	} {
		for _, server := range []string{"http://localhost", "HTTP://a.example.com"} {
			for source, named := range map[string]string{"": each.option, "the profile x": each.field + " of the profile x"} {
				for _, allowPlaintext := range []bool{false, true} {
					asked := each.profile
					asked.server, asked.apiKey, asked.source = server, secret, source
					_, err := targetOf(asked, allowPlaintext)
					if _, ok := errors.AsType[*InvalidOptions](err); !ok || strings.Contains(err.Error(), secret) ||
						!strings.Contains(err.Error(), named+" cannot be used with http://") {
						t.Errorf("%s of %q: %v", named, server, err)
					}
				}
			}
		}
	}
}

func TestAnAddressWithAUserOrAPasswordIsRefusedWhereverItStandsAndNotShown(t *testing.T) {
	t.Setenv("LEDGER_API_KEY", "")
	for _, server := range []string{
		"http://ada:" + secret + "@127.0.0.1:1", "https://ada:" + secret + "@ledger.example.com", "http://" + secret + "@localhost",
		"http://:" + secret + "@localhost:1", "http://ada:a/" + secret + "@localhost", "http://ada:a?" + secret + "@localhost",
		"http://ada:%zz" + secret + "@localhost", "ada:" + secret + "@localhost:1", "http:\\\\ada:" + secret + "@localhost",
	} {
		file := written(t, t.TempDir(), fmt.Sprintf("[profiles.default]\nserver = %q\n", server), 0o600)
		for from, connect := range map[string]func(t *testing.T) (*Client, error){
			"an argument":     func(*testing.T) (*Client, error) { return Connect(WithServer(server)) },
			"the environment": func(t *testing.T) (*Client, error) { t.Setenv("LEDGER_SERVER", server); return Connect() },
			"a file":          func(t *testing.T) (*Client, error) { t.Setenv("LEDGER_CONFIG", file); return Connect() },
		} {
			t.Run(from, func(t *testing.T) {
				_, err := connect(t)
				if _, ok := errors.AsType[*InvalidOptions](err); !ok || !strings.Contains(err.Error(), "LEDGER_API_KEY or api_key") {
					t.Fatal(err)
				}
				if shown := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(shown, secret) || strings.Contains(shown, "ada") {
					t.Error(shown)
				}
			})
		}
	}
}

func TestOptionsOfAClientAreChecked(t *testing.T) {
	for _, option := range []Option{WithTimeout(0), WithPatience(-1), WithSilence(0), WithServer("x")} {
		_, err := Connect(WithServer("http://localhost"), option)
		if _, ok := errors.AsType[*InvalidOptions](err); !ok {
			t.Error(err)
		}
	}
	ledger, err := Connect(WithServer("http://localhost:1"), WithAPIKey(secret), WithProject("shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		if shown := fmt.Sprintf(form, ledger); strings.Contains(shown, secret) || !strings.Contains(shown, "localhost") {
			t.Error(shown)
		}
		h := headers{fixed: map[string]string{"x-api-key": secret}}
		if shown := fmt.Sprintf(form, h); strings.Contains(shown, secret) {
			t.Error(shown)
		}
	}
}
