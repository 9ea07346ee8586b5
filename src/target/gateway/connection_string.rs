//! Reading `sqlitecloud://host:port/database?apikey=…`.

use secrecy::SecretString;

use super::GatewayError;

/// What a connection string says.
#[derive(Debug, Clone)]
pub struct ConnectionString {
    pub host: String,
    pub port: u16,
    pub database: Option<String>,
    pub api_key: SecretString,
}

/// Port of SQLite Cloud when the string names none.
const DEFAULT_PORT: u16 = 8860;

/// Reads a connection string; errors never repeat it, because it holds the key.
pub fn parse_connection_string(text: &str) -> Result<ConnectionString, GatewayError> {
    let refused = |why: &str| GatewayError::Config {
        address: "the connection string".into(),
        why: format!("{why}; it is written sqlitecloud://host:port/database?apikey=KEY"),
    };
    let url = reqwest::Url::parse(text.trim()).map_err(|e| refused(&format!("it is not an address ({e})")))?;
    if url.scheme() != "sqlitecloud" {
        return Err(refused("it does not start with sqlitecloud://"));
    }
    let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(|| refused("it names no host"))?.to_owned();
    let mut keys = url.query_pairs().filter(|(name, _)| name == "apikey").map(|(_, value)| value.into_owned());
    let api_key = keys.next().filter(|key| !key.is_empty()).ok_or_else(|| refused("it has no apikey"))?;
    if api_key.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refused("its apikey holds a blank or a control character"));
    }
    let database = url.path().trim_matches('/');
    if database.contains(['/', '%']) {
        return Err(refused("it names no plain database"));
    }
    let database = (!database.is_empty()).then(|| database.to_owned());
    Ok(ConnectionString { host, port: url.port().unwrap_or(DEFAULT_PORT), database, api_key: api_key.into() })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_connection_string_comes_apart() {
        let connection = parse_connection_string("sqlitecloud://xyz.sqlite.cloud:8860/my.db?apikey=HUNTER2&x=1")
            .expect("a good one");
        assert_eq!((connection.host.as_str(), connection.database.as_deref()), ("xyz.sqlite.cloud", Some("my.db")));
        assert_eq!(connection.api_key.expose_secret(), "HUNTER2");
        assert!(!format!("{connection:?}").contains("HUNTER2"));
        assert_eq!(parse_connection_string("sqlitecloud://h?apikey=k").expect("a good one").database, None);
    }

    #[test]
    fn bad_ones_are_refused_without_being_repeated() {
        let bad = [
            "",
            "HUNTER2",
            "https://h/db?apikey=HUNTER2",
            "sqlitecloud://h/db",
            "sqlitecloud:///db?apikey=HUNTER2",
            "sqlitecloud://h/db?apikey=HUNTER2%0d%0aX",
            "sqlitecloud://h/a/b?apikey=HUNTER2",
        ];
        for text in bad {
            let error = parse_connection_string(text).expect_err(text).to_string();
            assert!(!error.contains("HUNTER2"), "{error}");
        }
    }
}
