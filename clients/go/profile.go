package promptledger

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

const (
	// What `prompt-ledger dev` serves on, and accepts on loopback without any setting.
	developmentServer = "http://127.0.0.1:50051"
	developmentKey    = "dev-key-change-in-production"
	// Of the file of profiles, in bytes.
	largestProfiles = 1024 * 1024
)

// profile is a server, and what opens it. What is empty is absent.
type profile struct {
	server, apiKey, project string
	// Paths of PEM files.
	tlsCA, tlsCert, tlsKey string
	// Where it stands, for errors, which show nothing of a file. Empty: they may show the server.
	source string
}

// fields are what a profile has, by their names in files. In the environment they are LEDGER_SERVER and so on.
func (p *profile) fields() map[string]*string {
	return map[string]*string{
		"server": &p.server, "api_key": &p.apiKey, "project": &p.project,
		"tls_ca": &p.tlsCA, "tls_cert": &p.tlsCert, "tls_key": &p.tlsKey,
	}
}

func (p *profile) isEmpty() bool {
	for _, value := range p.fields() {
		if *value != "" {
			return false
		}
	}
	return true
}

// shown names the address in errors, without a query or a fragment, in which a key may stand.
func (p *profile) shown(address string) string {
	if p.source != "" {
		return "the server of " + p.source
	}
	if end := strings.IndexAny(address, "?#"); end >= 0 {
		address = address[:end] + "..."
	}
	return "`" + address + "`"
}

// named says in errors where a part of the profile stands.
func (p *profile) named(part string) string {
	if p.source != "" {
		return part + " of " + p.source
	}
	return part
}

// tlsSettings are what an encrypted connection alone uses, by the names that the user wrote; empty where there are none.
func (p *profile) tlsSettings() string {
	var fields, options []string
	if p.tlsCA != "" {
		fields, options = append(fields, "tls_ca"), append(options, "WithTLSCA (LEDGER_TLS_CA)")
	}
	if p.tlsCert != "" {
		fields = append(fields, "tls_cert")
	}
	if p.tlsKey != "" {
		fields = append(fields, "tls_key")
	}
	if p.tlsCert != "" || p.tlsKey != "" {
		options = append(options, "WithTLSCertificate (LEDGER_TLS_CERT, LEDGER_TLS_KEY)")
	}
	if p.source == "" || len(fields) == 0 {
		return strings.Join(options, ", ")
	}
	return p.named(strings.Join(fields, ", "))
}

// problem is what is wrong with a file, without the path where that stands in a file of profiles.
func (p *profile) problem(err error) string {
	if failed, ok := errors.AsType[*fs.PathError](err); ok && p.source != "" {
		return failed.Err.Error()
	}
	return err.Error()
}

// findProfile returns the profile that the explicit options name, or else the environment, or else the file. It is taken whole.
func findProfile(explicit profile, named string, environment func(string) string) (profile, error) {
	if explicit.server != "" {
		return explicit, nil
	}
	if !explicit.isEmpty() {
		return profile{}, invalidOptions(
			"there is a key, a project or TLS without a server: a profile is taken whole, so give the server too")
	}
	if named == "" && environment("LEDGER_SERVER") != "" {
		var found profile
		for name, value := range found.fields() {
			*value = environment("LEDGER_" + strings.ToUpper(name))
		}
		return found, nil
	}
	if named == "" {
		named = environment("LEDGER_PROFILE")
	}
	found, ok, err := profileOfFile(named, environment)
	if err != nil || ok {
		return found, err
	}
	return profile{server: developmentServer, apiKey: developmentKey}, nil
}

// profileOfFile returns the profile of that name, or "default"; false where neither it nor the file is named and there is none.
func profileOfFile(named string, environment func(string) string) (found profile, ok bool, err error) {
	path, err := profilesPath(environment)
	if err != nil {
		return profile{}, false, err
	}
	name := named
	if name == "" {
		name = "default"
	}
	isAskedFor := named != "" || environment("LEDGER_CONFIG") != ""
	content, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !isAskedFor {
			return profile{}, false, nil
		}
		return profile{}, false, invalidOptions("the profile %q is wanted, and there is no %s", name, path)
	}
	if err != nil {
		return profile{}, false, err
	}
	profiles, err := parseProfiles(content, path)
	if err != nil {
		return profile{}, false, err
	}
	entry, ok := profiles[name]
	if !ok {
		if !isAskedFor {
			return profile{}, false, nil
		}
		return profile{}, false, invalidOptions("%s has no profile %q", path, name)
	}
	found, err = readProfile(entry, path, name)
	return found, err == nil, err
}

// readPrivate returns the text of a file that its owner alone may read.
func readPrivate(path string) (string, error) {
	// Without waiting: a named pipe has a writer only some time, or never.
	file, err := os.OpenFile(path, os.O_RDONLY|nonblocking, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err != nil {
		return "", invalidOptions("%v", err)
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return "", invalidOptions("%v", err)
	}
	if runtime.GOOS != "windows" && about.Mode().Perm()&0o077 != 0 {
		return "", invalidOptions("%s can be read by others, and keys stand in it: chmod 600 %s", path, path)
	}
	if !about.Mode().IsRegular() {
		return "", invalidOptions("%s is no file", path)
	}
	content, err := io.ReadAll(io.LimitReader(file, largestProfiles+1))
	if err != nil {
		return "", invalidOptions("%v", err)
	}
	if len(content) > largestProfiles {
		return "", invalidOptions("%s has more than 1 MiB: it holds something else than profiles", path)
	}
	return string(content), nil
}

// parseProfiles tells of what is wrong the line alone: what stands there may be a key.
func parseProfiles(content, path string) (map[string]any, error) {
	var file map[string]any
	if _, err := toml.Decode(content, &file); err != nil {
		at, _ := errors.AsType[toml.ParseError](err)
		return nil, invalidOptions("%s is no TOML at line %d", path, at.Position.Line)
	}
	profiles, ok := file["profiles"].(map[string]any)
	if len(file) > 1 || len(file) == 1 && !ok {
		return nil, invalidOptions("%s holds something else than tables [profiles.NAME]", path)
	}
	return profiles, nil
}

func readProfile(entry any, path, name string) (profile, error) {
	found := profile{source: "the profile \"" + name + "\" of " + path}
	table, ok := entry.(map[string]any)
	if !ok {
		return profile{}, invalidOptions("%s is to be a table of texts", found.source)
	}
	fields := found.fields()
	for key, value := range table {
		field, known := fields[key]
		text, isText := value.(string)
		switch {
		case !known:
			known := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
			return profile{}, invalidOptions("%s has something else than %s", found.source, known)
		case !isText:
			return profile{}, invalidOptions("%s is to be a table of texts", found.source)
		}
		*field = text
	}
	if found.server == "" {
		return profile{}, invalidOptions(
			`%s names no server: write server = "http://HOST:PORT" or "https://HOST:PORT" there`, found.source)
	}
	return found, nil
}

// profilesPath is where the file of profiles is.
func profilesPath(environment func(string) string) (string, error) {
	if named := environment("LEDGER_CONFIG"); named != "" {
		return named, nil
	}
	folder := environment("XDG_CONFIG_HOME")
	if folder == "" {
		home := environment("HOME")
		if home == "" {
			found, err := os.UserHomeDir()
			if err != nil {
				return "", invalidOptions("there is no home folder to look for profiles in: %v", err)
			}
			home = found
		}
		folder = filepath.Join(home, ".config")
	}
	return filepath.Join(folder, "prompt-ledger", "config.toml"), nil
}
