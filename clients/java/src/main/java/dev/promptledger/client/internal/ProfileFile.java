package dev.promptledger.client.internal;

import dev.promptledger.client.errors.InvalidOptionsException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** The file of profiles. No message shows what stands in it. */
final class ProfileFile {
    private static final Set<String> KNOWN =
            new TreeSet<>(Set.of("server", "api_key", "project", "tls_ca", "tls_cert", "tls_key"));
    private static final Set<PosixFilePermission> OF_OTHERS = EnumSet.complementOf(EnumSet.of(
            PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE, PosixFilePermission.OWNER_EXECUTE));

    /** In bytes. */
    private static final long LARGEST = 1024 * 1024;

    private final Path path;
    /** The environment names the file. */
    private final boolean isNamed;

    ProfileFile(Map<String, String> environment) {
        var named = Profile.emptyAsNull(environment.get("LEDGER_CONFIG"));
        this.isNamed = named != null;
        this.path = isNamed ? Path.of(named) : place(environment);
    }

    private static Path place(Map<String, String> environment) {
        var config = Profile.emptyAsNull(environment.get("XDG_CONFIG_HOME"));
        if (config != null) {
            return Path.of(config, "prompt-ledger", "config.toml");
        }
        var home = Profile.emptyAsNull(environment.get("HOME"));
        return Path.of(
                home != null ? home : System.getProperty("user.home"), ".config", "prompt-ledger", "config.toml");
    }

    /** The profile of that name, or {@code default}; empty where neither it nor the file is named and there is none. */
    Optional<Map<String, String>> find(String named) {
        var name = named == null ? "default" : named;
        var isAskedFor = named != null || isNamed;
        var content = read();
        if (content.isEmpty()) {
            if (!isAskedFor) {
                return Optional.empty();
            }
            throw new InvalidOptionsException("the profile `" + name + "` is wanted, and there is no " + path);
        }
        var tables = content.get();
        if (!(tables.getOrDefault("profiles", Map.of()) instanceof Map<?, ?> profiles)
                || !Set.of("profiles").containsAll(tables.keySet())) {
            throw new InvalidOptionsException(path + " holds something else than tables [profiles.NAME]");
        }
        if (!profiles.containsKey(name)) {
            if (!isAskedFor) {
                return Optional.empty();
            }
            throw new InvalidOptionsException(path + " has no profile `" + name + "`");
        }
        return Optional.of(checked(which(named), profiles.get(name)));
    }

    /** Names the profile in errors. */
    String which(String named) {
        return "the profile `" + (named == null ? "default" : named) + "` of " + path;
    }

    private static Map<String, String> checked(String which, Object profile) {
        var values = new LinkedHashMap<String, String>();
        if (!(profile instanceof Map<?, ?> table)) {
            throw new InvalidOptionsException(which + " is to be a table of texts");
        }
        table.forEach((key, value) -> {
            if (!KNOWN.contains(key)) {
                throw new InvalidOptionsException(which + " has something else than " + String.join(", ", KNOWN));
            }
            if (!(value instanceof String text)) {
                throw new InvalidOptionsException(which + " is to be a table of texts");
            }
            // An empty text counts as none, as an empty variable does.
            if (!text.isEmpty()) {
                values.put((String) key, text);
            }
        });
        if (!values.containsKey("server")) {
            throw new InvalidOptionsException(
                    which + " names no server: write server = \"http://HOST:PORT\" or \"https://HOST:PORT\" there");
        }
        return values;
    }

    /** Empty where there is no such file. */
    private Optional<Map<String, Object>> read() {
        try {
            if (Files.exists(path) && !Files.isRegularFile(path) && !Files.isDirectory(path)) {
                throw new InvalidOptionsException(path + " is no file");
            }
            if (Files.size(path) > LARGEST) {
                throw new InvalidOptionsException(path + " has more than 1 MiB: it holds something else than profiles");
            }
            var content = Files.readString(path);
            if (isOpenToOthers()) {
                throw new InvalidOptionsException(
                        path + " can be read by others, and keys stand in it: chmod 600 " + path);
            }
            return Optional.of(Toml.parse(content));
        } catch (NoSuchFileException missing) {
            return Optional.empty();
        } catch (CharacterCodingException notUtf8) {
            throw new InvalidOptionsException(path + " is no TOML: it is not UTF-8");
        } catch (IOException unreadable) {
            throw new InvalidOptionsException(path + " cannot be read");
        } catch (Toml.SyntaxException invalid) {
            // The place alone: what stands there may be a key.
            throw new InvalidOptionsException(path + " is no TOML at line " + invalid.line());
        }
    }

    private boolean isOpenToOthers() throws IOException {
        var isPosix = path.getFileSystem().supportedFileAttributeViews().contains("posix");
        return isPosix && Files.getPosixFilePermissions(path).stream().anyMatch(OF_OTHERS::contains);
    }
}
