use std::time::Duration;

use cookie::{Cookie, CookieBuilder};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{CsrfState, MaxAge, Params, SecretKeyBase, Signer, UnixMillis};

/// What the application keeps about a browser in a signed cookie: a JSON object that the browser can read, but not
/// change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Session(pub Map<String, Value>);

/// The cookie of the sessions of an application (protocol §7.6, FEATURES D36).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The name of the cookie.
    pub key: String,
    /// The salt for deriving the signing key; no secret, but other applications should have another one.
    pub signing_salt: String,
    /// The key *in the session* that holds the [`CsrfState`], `_csrf_token` by default. It does not rename the
    /// parameter that carries the token, which is always `_csrf_token`.
    pub csrf_token_key: String,
    /// How long the cookie is kept and accepted; by default until the browser is closed, and accepted without limit.
    pub max_age: Option<Duration>,
    /// Whether requests from other sites carry the cookie; `Lax` by default.
    pub same_site: SameSite,
    /// Whether the cookie is only sent over TLS; `false` by default.
    pub secure: bool,
}

/// Which requests from other sites carry a cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SameSite {
    /// None.
    Strict,
    /// Only those that navigate to the site.
    #[default]
    Lax,
    /// All; browsers demand `secure` then.
    None,
}

/// The name of the cookie is no token of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} cannot be the name of a cookie")]
pub struct InvalidCookieName(String);

/// Reads and writes the cookies of sessions; building one derives a key, so keep it.
#[derive(Debug, Clone)]
pub struct SessionStore {
    config: SessionConfig,
    signer: Signer,
}

const CSRF_PARAM: &str = "_csrf_token";

impl SessionConfig {
    /// A session cookie of that name with defaults for the rest.
    pub fn new(key: impl Into<String>, signing_salt: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            signing_salt: signing_salt.into(),
            csrf_token_key: "_csrf_token".to_owned(),
            max_age: None,
            same_site: SameSite::default(),
            secure: false,
        }
    }
}

impl SessionStore {
    /// A store that signs with a key derived from the secret.
    pub fn new(config: SessionConfig, secret: &SecretKeyBase) -> Result<Self, InvalidCookieName> {
        // The names of headers and of cookies have the same syntax.
        if HeaderName::from_bytes(config.key.as_bytes()).is_err() {
            return Err(InvalidCookieName(config.key));
        }
        let signer = Signer::new(secret, &config.signing_salt);
        Ok(Self { config, signer })
    }

    /// Also accepts cookies that were signed with an older secret.
    pub fn with_previous(mut self, secret: &SecretKeyBase) -> Self {
        self.signer = self.signer.with_previous(secret);
        self
    }

    /// The value of the header `set-cookie` that makes a browser keep the session.
    pub fn encode(&self, session: &Session, now: UnixMillis) -> HeaderValue {
        let max_age = self.config.max_age.map_or(MaxAge::Infinite, MaxAge::Limited);
        let value = self.signer.sign(session, max_age, now).expect("a JSON object has a JSON form");
        let cookie = Cookie::build((self.config.key.as_str(), value)).path("/").http_only(true);
        let cookie = cookie.secure(self.config.secure).same_site(self.config.same_site.into());
        let cookie: CookieBuilder<'_> = match self.config.max_age {
            Some(age) => cookie.max_age(age.try_into().unwrap_or(cookie::time::Duration::MAX)),
            None => cookie,
        };
        let text = cookie.build().to_string();
        HeaderValue::try_from(text).expect("name and value are tokens")
    }

    /// The session of a request; `None` if it has no cookie of that name or the cookie is not valid.
    pub fn decode(&self, headers: &HeaderMap, now: UnixMillis) -> Option<Session> {
        let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let cookies = lines.flat_map(|line| Cookie::split_parse(line).filter_map(Result::ok));
        let found = cookies.into_iter().find(|cookie| cookie.name() == self.config.key)?;
        let max_age = self.config.max_age.map(MaxAge::Limited);
        self.signer.verify(Some(found.value()), max_age, now).ok()
    }

    /// The session of a request that also proves that it comes from a page of the application: its parameter
    /// `_csrf_token` must be a token of the state in the session. `None` if any of it fails.
    pub fn decode_checked(&self, headers: &HeaderMap, params: &Params, now: UnixMillis) -> Option<Session> {
        let session = self.decode(headers, now)?;
        let state: CsrfState = session.0.get(&self.config.csrf_token_key)?.as_str()?.parse().ok()?;
        state.accepts(params.text(CSRF_PARAM)?).then_some(session)
    }
}

impl From<SameSite> for cookie::SameSite {
    fn from(same_site: SameSite) -> Self {
        match same_site {
            SameSite::Strict => Self::Strict,
            SameSite::Lax => Self::Lax,
            SameSite::None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    #[test]
    fn a_session_survives_the_browser() {
        let store = store(SessionConfig::new("_key", "salt"));
        let header = store.encode(&session(), NOW);
        let (cookie, attributes) = header.to_str().unwrap().split_once("; ").unwrap();
        assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/");
        assert_eq!(store.decode(&cookies(&[cookie]), NOW), Some(session()));
        assert_eq!(store.decode(&cookies(&[&format!("a=b; {cookie}; c=%ff; d")]), NOW), Some(session()));
        assert_eq!(store.decode(&cookies(&["a=b", cookie]), NOW), Some(session()));
        assert_eq!(store.decode(&cookies(&[cookie]), UnixMillis(u64::MAX)), Some(session()));
    }

    #[test]
    fn the_attributes_follow_the_configuration() {
        let max_age = Some(Duration::from_secs(60));
        let config = SessionConfig {
            max_age,
            same_site: SameSite::None,
            secure: true,
            ..SessionConfig::new("_key", "salt")
        };
        let store = store(config);
        let header = store.encode(&session(), NOW);
        let (cookie, attributes) = header.to_str().unwrap().split_once("; ").unwrap();
        assert_eq!(attributes, "HttpOnly; SameSite=None; Secure; Path=/; Max-Age=60");
        assert_eq!(store.decode(&cookies(&[cookie]), UnixMillis(NOW.0 + 60_000)), Some(session()));
        assert_eq!(store.decode(&cookies(&[cookie]), UnixMillis(NOW.0 + 60_001)), None);
    }

    #[test]
    fn other_cookies_are_no_session() {
        let store = store(SessionConfig::new("_key", "salt"));
        let cookie = cookie(&store);
        let other_name = cookie.replacen("_key", "_KEY", 1);
        let other_data = cookie.replacen("=SFMyNTY.", "=SFMyNTY.A", 1);
        let not_a_map = format!("_key={}", store.signer.sign(&[1], MaxAge::Infinite, NOW).unwrap());
        for line in
            ["", "_key", "_key=", "_key=x", &other_name, &other_data, &not_a_map, &cookie[..cookie.len() - 1]]
        {
            assert_eq!(store.decode(&cookies(&[line]), NOW), None, "{line}");
        }
        assert_eq!(store.decode(&HeaderMap::new(), NOW), None);
        let stranger = SessionStore::new(SessionConfig::new("_key", "salt"), &secret('b')).unwrap();
        assert_eq!(stranger.decode(&cookies(&[&cookie]), NOW), None);
        assert_eq!(stranger.with_previous(&secret('a')).decode(&cookies(&[&cookie]), NOW), Some(session()));
    }

    #[test]
    fn the_token_must_belong_to_the_session() {
        let store = store(SessionConfig::new("_key", "salt"));
        let headers = cookies(&[&cookie(&store)]);
        let check = |query: &str| store.decode_checked(&headers, &Params::parse(query).unwrap(), NOW);
        let token = state().mask([5; 18]);
        assert_eq!(check(&format!("_csrf_token={token}")), Some(session()));
        for query in
            ["", "_csrf_token=", "_csrf_token=x", &format!("_csrf_token[]={token}"), &format!("csrf={token}")]
        {
            assert_eq!(check(query), None, "{query}");
        }
        let params = Params::parse(&format!("_csrf_token={token}")).unwrap();
        assert_eq!(store.decode_checked(&HeaderMap::new(), &params, NOW), None);
    }

    #[test]
    fn the_key_of_the_state_in_the_session_can_be_changed() {
        let params = Params::parse(&format!("_csrf_token={}", state().mask([5; 18]))).unwrap();
        let config = |key: &str| SessionConfig {
            csrf_token_key: key.to_owned(),
            ..SessionConfig::new("_key", "salt")
        };
        let renamed = store(config("_my_token"));
        let my_session = Session(Map::from_iter([("_my_token".to_owned(), state().as_str().into())]));
        let header = renamed.encode(&my_session, NOW);
        let headers = cookies(&[header.to_str().unwrap().split_once(';').unwrap().0]);
        assert_eq!(renamed.decode_checked(&headers, &params, NOW), Some(my_session));
        assert_eq!(store(config("_csrf_token")).decode_checked(&headers, &params, NOW), None);
    }

    #[test]
    fn the_name_of_the_cookie_is_a_token() {
        for key in ["", "a=b", "a;b", "a b"] {
            let error = SessionStore::new(SessionConfig::new(key, "salt"), &secret('a')).unwrap_err();
            assert_eq!(error, InvalidCookieName(key.to_owned()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_cookie_header_is_read(line in proptest::collection::vec(32..=126_u8, 0..40), prefix in "(_key=(SFMyNTY\\.)?)?") {
            let line = [prefix.as_bytes(), &line].concat();
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_bytes(&line).unwrap())]);
            prop_assert_eq!(store(SessionConfig::new("_key", "salt")).decode(&headers, NOW), None);
        }
    }

    fn store(config: SessionConfig) -> SessionStore {
        SessionStore::new(config, &secret('a')).unwrap()
    }

    fn secret(letter: char) -> SecretKeyBase {
        SecretKeyBase::new(letter.to_string().repeat(64)).unwrap()
    }

    fn state() -> CsrfState {
        CsrfState::new([1; 18])
    }

    fn session() -> Session {
        serde_json::from_value(json!({"user": 7, "_csrf_token": state().as_str()})).unwrap()
    }

    /// `name=value` of the session above.
    fn cookie(store: &SessionStore) -> String {
        let header = store.encode(&session(), NOW);
        header.to_str().unwrap().split_once(';').unwrap().0.to_owned()
    }

    fn cookies(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        headers
    }
}
