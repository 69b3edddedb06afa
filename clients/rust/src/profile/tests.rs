use super::*;
use crate::client::Client;
use crate::options::ClientKey;

fn options(variables: &[(&str, &str)]) -> Result<Options, OptionsError> {
    let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Options::from_variables(&value)
}

fn written(folder: &Path, text: &str) -> String {
    let path = folder.join("prompt-ledger/config.toml");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    path.to_str().unwrap().to_owned()
}

const TWO: &str = "[profiles.default]\nserver = \"https://a.example\"\napi_key = \"pl_a\"\nproject = \"shop\"\n\
                   [profiles.other]\nserver = \"https://b.example\"\n";

#[test]
fn a_profile_without_a_name_is_none_and_no_other_is_taken() {
    let error = Options::from_profile("").unwrap_err();
    assert!(matches!(&error, OptionsError::Profile { name, .. } if name.is_empty()), "{error}");
}

#[test]
fn the_environment_comes_first_and_is_taken_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), TWO);
    let given = options(&[("LEDGER_SERVER", "http://127.0.0.1:1"), ("LEDGER_CONFIG", &file)]).unwrap();
    assert_eq!((&*given.url, given.api_key, given.project), ("http://127.0.0.1:1", ClientKey::default(), None));
    let given = [("LEDGER_SERVER", "http://127.0.0.1:1"), ("LEDGER_API_KEY", "pl_b"), ("LEDGER_PROJECT", "p")];
    let given = options(&given).unwrap();
    assert_eq!((given.api_key, given.project.as_deref()), ("pl_b".into(), Some("p")));
}

#[test]
fn a_profile_of_the_file_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), TWO);
    let home = folder.path().to_str().unwrap();
    for variables in [&[("LEDGER_CONFIG", &*file)][..], &[("XDG_CONFIG_HOME", home), ("LEDGER_API_KEY", "pl_c")]] {
        let given = options(variables).unwrap();
        assert_eq!((&*given.url, given.api_key), ("https://a.example", "pl_a".into()));
        assert_eq!(given.project.as_deref(), Some("shop"));
    }
    let other = options(&[("LEDGER_CONFIG", &file), ("LEDGER_PROFILE", "other")]).unwrap();
    assert_eq!((&*other.url, other.api_key), ("https://b.example", ClientKey::default()));
    for asked in [[("LEDGER_CONFIG", &*file), ("LEDGER_PROFILE", "third")], [("LEDGER_CONFIG", "/no"), ("A", "")]] {
        assert!(matches!(options(&asked), Err(OptionsError::Profile { .. })), "{asked:?}");
    }
}

#[test]
fn what_is_wrong_with_another_profile_matters_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), &format!("{TWO}[profiles.third]\nserver = 3\nregion = \"eu\"\n"));
    assert_eq!(options(&[("LEDGER_CONFIG", &file)]).unwrap().url, "https://a.example");
    let error = options(&[("LEDGER_CONFIG", &file), ("LEDGER_PROFILE", "third")]).unwrap_err();
    assert!(error.to_string().contains("the profile `third` has something else"), "{error}");
}

#[test]
fn where_nothing_is_said_it_is_the_server_of_this_machine() {
    let given = options(&[("HOME", "/nowhere"), ("LEDGER_API_KEY", "pl_c")]).unwrap();
    assert_eq!((&*given.url, given.api_key), ("http://127.0.0.1:50051", DEVELOPMENT_KEY.into()));
}

#[test]
fn a_file_that_cannot_be_used_is_told_without_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["api_key = \"pl_secret\"", "[profiles.default]\nserver = 1\napi_key = \"pl_secret\"", "pl_secret"] {
        let file = written(folder.path(), text);
        let error = options(&[("LEDGER_CONFIG", &file)]).unwrap_err();
        assert!(matches!(error, OptionsError::File { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("pl_secret"), "{error}");
    }
    let one = options(&[("LEDGER_SERVER", "https://a.example"), ("LEDGER_TLS_CERT", "Cargo.toml")]).unwrap_err();
    assert!(matches!(one, OptionsError::Tls(_)), "{one:?}");
}

#[tokio::test]
async fn what_stands_in_a_wrong_place_is_told_by_the_name_of_its_field_alone() {
    let folder = tempfile::tempdir().unwrap();
    let https = ("server", "https://127.0.0.1:1");
    let pem = "-----BEGIN PRIVATE KEY-----\npl_secret\n-----END PRIVATE KEY-----\n";
    for (fields, wrong) in [
        (&[("server", "pl_secret"), ("api_key", "http://127.0.0.1:1")][..], "server"),
        (&[("server", "http://pl_secret host")], "server"),
        (&[("server", "ada@pl_secret")], "server"),
        (&[("server", "http://127.0.0.1:1/?k=pl_secret")], "server"),
        (&[("server", "http://ada@127.0.0.1:1/?k=pl_secret")], "server"),
        (&[("server", "http://127.0.0.1:1/#pl_secret")], "server"),
        (&[("server", "https://127.0.0.1:1/pl_secret")], "server"),
        (&[https, ("project", "pl_secret\n")], "project"),
        (&[https, ("api_key", "pl_secret\n")], "api_key"),
        (&[https, ("tls_ca", "pl_secret")], "tls_ca"),
        (&[https, ("tls_cert", "pl_secret"), ("tls_key", "pl_secret")], "tls_cert"),
        (&[https, ("tls_key", pem)], "tls_key"),
    ] {
        let text = fields.iter().map(|(field, value)| format!("{field} = {value:?}\n")).collect::<String>();
        let file = written(folder.path(), &format!("[profiles.default]\n{text}"));
        let variables = fields.iter().map(|(field, value)| (variable(field), *value)).collect::<Vec<_>>();
        let variables = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>();
        let of_file = format!("{file}: {wrong} of the profile `default`: ");
        for (given, named) in
            [(&[("LEDGER_CONFIG", &*file)][..], of_file), (&variables[..], format!("{}: ", variable(wrong)))]
        {
            let error = options(given).and_then(Client::connect).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("pl_secret"), "{error}");
            assert!(error.to_string().starts_with(&named), "{error}");
        }
    }
}

#[test]
fn settings_of_tls_are_refused_with_http_by_the_names_that_the_user_wrote() {
    let folder = tempfile::tempdir().unwrap();
    for fields in [&["tls_ca"][..], &["tls_cert"], &["tls_key"], &["tls_cert", "tls_key"]] {
        let variables = fields.iter().map(|field| format!("LEDGER_{}", field.to_uppercase())).collect::<Vec<_>>();
        let mut given = vec![("LEDGER_SERVER", "http://127.0.0.1:1")];
        given.extend(variables.iter().map(|variable| (variable.as_str(), "missing.pem")));
        let error = options(&given).unwrap_err();
        assert_eq!(error, OptionsError::TlsOverHttp(variables.join(", ")));
        let text = fields.iter().map(|field| format!("{field} = \"missing.pem\"\n")).collect::<String>();
        let file = written(folder.path(), &format!("[profiles.default]\nserver = \"http://127.0.0.1:1\"\n{text}"));
        let error = options(&[("LEDGER_CONFIG", &file)]).unwrap_err();
        let named = format!("{} of the profile `default` of {file}", fields.join(", "));
        assert_eq!(error, OptionsError::TlsOverHttp(named));
    }
    let empty = [("LEDGER_SERVER", "http://127.0.0.1:1"), ("LEDGER_TLS_CA", "")];
    assert_eq!(options(&empty).unwrap().ca, None);
}

#[test]
fn empty_texts_of_a_profile_count_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let fields = ["api_key", "project", "tls_ca", "tls_cert", "tls_key"].map(|field| format!("{field} = \"\"\n"));
    for server in ["http://127.0.0.1:1", "https://a.example"] {
        let text = format!("[profiles.default]\nserver = \"{server}\"\n{}", fields.concat());
        let given = options(&[("LEDGER_CONFIG", &written(folder.path(), &text))]).unwrap();
        assert_eq!((&*given.url, given.api_key, given.project), (server, ClientKey::default(), None));
        assert!(given.ca.is_none() && given.identity.is_none(), "{server}");
    }
}

#[test]
fn a_profile_without_a_server_is_an_error_that_names_it_and_its_file() {
    let folder = tempfile::tempdir().unwrap();
    for server in ["", "server = \"\"\n"] {
        let text = format!("[profiles.default]\n{server}api_key = \"pl_secret\"\n");
        let file = written(folder.path(), &text.repeat(2).replacen("default", "other", 1));
        let home = folder.path().to_str().unwrap();
        for (variable, name) in [(("LEDGER_PROFILE", "other"), "other"), (("LEDGER_API_KEY", "pl_b"), "default")] {
            let error = options(&[("XDG_CONFIG_HOME", home), variable]).unwrap_err();
            assert_eq!(error, OptionsError::NoServer { name: name.into(), path: file.clone() });
            assert!(error.to_string().contains("write server = \"http://HOST:PORT\""), "{error}");
            assert!(!format!("{error} {error:?}").contains("pl_secret"), "{error}");
        }
    }
}

#[test]
fn a_file_that_is_too_long_is_refused_and_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), &format!("{TWO}#{}", "x".repeat(1 << 20)));
    let error = options(&[("LEDGER_CONFIG", &file)]).unwrap_err();
    assert!(error.to_string().contains("more than 1 MiB"), "{error}");
}
