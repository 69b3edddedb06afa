//! DATABASE_URL: one host or one socket. libpq's forms for several are refused, with the form that does.

use prompt_ledger_domain::secret::Secret;
use url::Url;

use super::backend::ServiceUrl;

const FORMS: &str = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, or postgres://USER@/DATABASE?host=/FOLDER for the \
                     socket in a folder";
/// What takes the place of several hosts.
const ONE_HOST: &str = "name one that leads to the primary: a virtual address, a name in DNS, a balancer or PgBouncer; after \
                        a failover connections to what takes no writes are closed, and the place is asked again";

/// Parameters that the driver reads.
const KNOWN: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// The URL without what the driver does not know. A mistake shows nothing of it but its form.
pub(super) fn read(value: &str) -> Result<ServiceUrl, String> {
    let rest = value.strip_prefix("postgres://").or_else(|| value.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(|| format!("is no URL that begins with postgres:// or postgresql://; {FORMS}"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, host) = authority.rsplit_once('@').map_or(("", authority), |(login, host)| (login, host));
    let query = parameters(query)?;
    if host.contains(',') {
        return Err(format!("names several hosts; {ONE_HOST}"));
    }
    let named = |name: &str| query.iter().rev().find(|(known, _, _)| known == name).map(|(_, value, _)| &**value);
    let socket = named("host").filter(|host| host.starts_with('/')).map(str::to_owned);
    // The parser takes no login without a host. Where a parameter names the place, this one is not used.
    let stand_in = if host.is_empty() && (socket.is_some() || named("host").is_some()) { "localhost" } else { host };
    let at = if login.is_empty() { "" } else { "@" };
    let kept: Vec<_> = query.iter().map(|(_, _, written)| *written).collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    let url = format!("postgres://{login}{at}{stand_in}/{path}{mark}{}", kept.join("&"));
    let parsed = Url::parse(&url).ok().filter(Url::has_host);
    let parsed = parsed.ok_or_else(|| {
        format!(
            "cannot be read; {FORMS}. A character such as @ : / ? # % of the user or the password is written as %XX"
        )
    })?;
    let shown = match (socket.or_else(|| encoded_socket(host)), named("host")) {
        (Some(socket), _) => format!("postgres://{socket}"),
        (None, Some(host)) => format!("postgres://{host}{}", port(&parsed, named("port"))),
        (None, None) => {
            format!("postgres://{}{}", parsed.host_str().unwrap_or_default(), port(&parsed, named("port")))
        }
    };
    Ok(ServiceUrl::new(Secret::new(&url), shown))
}

/// Name, value, and both as they are written. Without `target_session_attrs`, which holds in any case or not at all.
fn parameters(query: &str) -> Result<Vec<(String, String, &str)>, String> {
    let mut kept = Vec::new();
    for written in query.split('&').filter(|written| !written.is_empty()) {
        let Some((name, value)) = url::form_urlencoded::parse(written.as_bytes()).into_owned().next() else { continue };
        match (&*name, &*value) {
            ("host" | "hostaddr" | "port", value) if value.contains(',') => {
                return Err(format!("names several hosts; {ONE_HOST}"));
            }
            ("target_session_attrs", "read-write" | "primary") => {}
            ("target_session_attrs", _) => {
                return Err(
                    "has a target_session_attrs other than read-write and primary: the ledger uses connections \
                            that can write, and no others; leave it out"
                        .to_owned(),
                );
            }
            // The driver logs those that it does not know, with their values.
            (known, _) if KNOWN.contains(&known) => kept.push((name, value, written)),
            _ => {}
        }
    }
    Ok(kept)
}

/// The folder of a socket where a host is one, its slashes written as %2F.
fn encoded_socket(host: &str) -> Option<String> {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let decoded = host.replace("%2F", "/").replace("%2f", "/");
    decoded.starts_with('/').then_some(decoded)
}

fn port(url: &Url, parameter: Option<&str>) -> String {
    let port = parameter.map(str::to_owned).or_else(|| url.port().map(|port| port.to_string()));
    port.map(|port| format!(":{port}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_sockets_are_kept_and_shown_without_the_login() {
        for (value, kept, shown) in [
            ("postgres://ada:hunter2@db:5433/ledger", "", "postgres://db:5433"),
            ("postgresql://db/ledger", "postgres://db/ledger", "postgres://db"),
            ("postgres://ada:hunter2@[::1]:5433/ledger?sslmode=disable", "", "postgres://[::1]:5433"),
            ("postgres://ada:hunter%2C2@db/ledger", "", "postgres://db"),
            ("postgres://ada@%2Fvar%2Frun%2Fpostgresql/ledger", "", "postgres:///var/run/postgresql"),
            ("postgres://ada@%2Frun:5433/ledger", "", "postgres:///run"),
            (
                "postgres://ada@db/ledger?sslpassword=hunter2&sslmode=require&schema=public",
                "postgres://ada@db/ledger?sslmode=require",
                "postgres://db",
            ),
            ("postgres://ada@x/ledger?host=/var/run&port=5433", "", "postgres:///var/run"),
            (
                "postgres://ada:hunter2@/ledger?host=%2Fvar%2Frun",
                "postgres://ada:hunter2@localhost/ledger?host=%2Fvar%2Frun",
                "postgres:///var/run",
            ),
            (
                "postgres:///ledger?host=/run&user=ada",
                "postgres://localhost/ledger?host=/run&user=ada",
                "postgres:///run",
            ),
            (
                "postgres:///ledger?host=db&port=5433",
                "postgres://localhost/ledger?host=db&port=5433",
                "postgres://db:5433",
            ),
            ("postgres://db/ledger?target_session_attrs=read-write", "postgres://db/ledger", "postgres://db"),
            (
                "postgres://db/ledger?user=a&target_session_attrs=primary&application_name=d%20e",
                "postgres://db/ledger?user=a&application_name=d%20e",
                "postgres://db",
            ),
        ] {
            let url = read(value).unwrap();
            assert_eq!((url.expose(), &*url.to_string()), (if kept.is_empty() { value } else { kept }, shown));
        }
    }

    #[test]
    fn several_hosts_and_other_sessions_are_refused_with_the_form_that_does() {
        for (value, said) in [
            ("postgres://ada:hunter2@one:5432,two:5432/ledger", "a virtual address"),
            ("postgres://ada:hunter2@one,two/ledger?target_session_attrs=read-write", "a virtual address"),
            ("postgres://ada:hunter2@/ledger?host=one,two", "a virtual address"),
            ("postgres://ada:hunter2@/ledger?host=one&port=1%2C2", "a virtual address"),
            ("postgres://ada:hunter2@db/ledger?target_session_attrs=any", "connections that can write"),
            ("postgres://ada:hunter2@db/ledger?target_session_attrs=prefer-standby", "leave it out"),
            ("postgres://ada:hunter2@/ledger", "?host=/FOLDER"),
            ("postgres:///ledger", "?host=/FOLDER"),
            ("postgres://ada:hunter2/2@db/ledger", "%XX"),
            ("host=db user=ada password=hunter2", "postgres://USER:PASSWORD@HOST"),
            ("mysql://ada:hunter2@db/ledger", "postgres://USER:PASSWORD@HOST"),
        ] {
            let why = read(value).unwrap_err();
            assert!(why.contains(said) && !why.contains("hunter2"), "{value}: {why}");
        }
    }
}
