use std::fmt;
use std::sync::Arc;

use http::header;
use thiserror::Error;

use super::HttpRequest;

/// Which pages may open a connection (protocol §7.3, FEATURES D10).
///
/// A request without `origin` header is always allowed: only browsers send it, and they always do. Of several headers
/// the first counts.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum CheckOrigin {
    /// Every origin is allowed.
    Off,
    /// The host must be the host of the endpoint's URL, whatever scheme and port; upper and lower case are equal.
    #[default]
    Host,
    /// One of the patterns must match; an empty list allows none.
    List(Vec<OriginPattern>),
    /// Scheme, host and port must be those of the request itself.
    Conn,
    /// The function decides; it also sees origins without a host, such as `null`.
    Custom(Arc<dyn Fn(&Origin) -> bool + Send + Sync>),
}

/// The value of an `origin` header.
///
/// What is no URI has neither scheme nor host: `null`, for example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    text: String,
    location: Location,
}

/// An entry of [`CheckOrigin::List`]: a URI of which the parts that are given must be equal.
///
/// `//example.com` is any scheme and any port, `//example.com:81` any scheme, `https://example.com` implies port 443.
/// A host `*.example.com` is `example.com` and all its subdomains. Hosts are compared case-sensitively.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern(Location);

/// A pattern without a host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the origin {0:?} has no host: write \"https://example.com\" or \"//example.com\"")]
pub struct OriginPatternError(String);

/// The origin is not allowed: HTTP 403 with an empty body, over long-polling a JSON status 403.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("connections from origin {origin:?} are not allowed")]
pub struct OriginRefused {
    /// The `origin` header as it came, invalid UTF-8 replaced.
    pub origin: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Location {
    scheme: Option<String>,
    host: Option<String>,
    port: Option<u16>,
}

impl CheckOrigin {
    /// A list of patterns such as `["https://*.example.com", "//localhost"]`.
    pub fn list<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginPatternError> {
        patterns.into_iter().map(OriginPattern::new).collect::<Result<_, _>>().map(Self::List)
    }

    /// A function that decides.
    pub fn custom(allows: impl Fn(&Origin) -> bool + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(allows))
    }

    /// Checks the origin of a request; `url_host` is the host of the endpoint's URL, without one
    /// [`CheckOrigin::Host`] allows every host.
    ///
    /// # Errors
    /// [`OriginRefused`] if it is not allowed.
    pub fn check(&self, request: &HttpRequest, url_host: Option<&str>) -> Result<(), OriginRefused> {
        let Some(header) = request.header(header::ORIGIN) else {
            return Ok(());
        };
        let origin = Origin::parse(&String::from_utf8_lossy(header.as_bytes()));
        if self.allows(&origin, request, url_host) {
            Ok(())
        } else {
            Err(OriginRefused { origin: origin.text })
        }
    }

    fn allows(&self, origin: &Origin, request: &HttpRequest, url_host: Option<&str>) -> bool {
        match (self, origin.host()) {
            (Self::Off, _) => true,
            (Self::Custom(allows), _) => allows(origin),
            (_, None) => false,
            (Self::Host, Some(host)) => url_host.is_none_or(|url_host| host.eq_ignore_ascii_case(url_host)),
            (Self::List(patterns), Some(_)) => patterns.iter().any(|pattern| pattern.matches(origin)),
            (Self::Conn, Some(host)) => {
                host == without_brackets(request.host())
                    && origin.scheme() == Some(request.scheme())
                    && origin.port() == Some(request.port())
            }
        }
    }
}

impl fmt::Debug for CheckOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("Off"),
            Self::Host => f.write_str("Host"),
            Self::List(patterns) => f.debug_tuple("List").field(patterns).finish(),
            Self::Conn => f.write_str("Conn"),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

impl Origin {
    fn parse(text: &str) -> Self {
        Self { text: text.to_owned(), location: Location::parse(text) }
    }

    /// The header as it came, invalid UTF-8 replaced.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme in lower case.
    pub fn scheme(&self) -> Option<&str> {
        self.location.scheme.as_deref()
    }

    /// The host, case kept, an IPv6 address without its brackets.
    pub fn host(&self) -> Option<&str> {
        self.location.host.as_deref()
    }

    /// The port, if absent the default one of `http`, `https`, `ws` and `wss`.
    pub fn port(&self) -> Option<u16> {
        self.location.port
    }
}

impl OriginPattern {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Result<Self, OriginPatternError> {
        let location = Location::parse(pattern);
        if location.host.is_some() { Ok(Self(location)) } else { Err(OriginPatternError(pattern.to_owned())) }
    }

    /// Whether the origin has all the parts of the pattern.
    pub fn matches(&self, origin: &Origin) -> bool {
        let (wanted, given) = (&self.0, &origin.location);
        (wanted.scheme.is_none() || wanted.scheme == given.scheme)
            && (wanted.port.is_none() || wanted.port == given.port)
            && wanted
                .host
                .as_deref()
                .zip(given.host.as_deref())
                .is_some_and(|(wanted, host)| host_matches(wanted, host))
    }
}

impl Location {
    /// Scheme and authority of a URI reference (RFC 3986 appendix B); all are `None` if there is no usable authority.
    fn parse(text: &str) -> Self {
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme.to_ascii_lowercase()), rest),
            _ => (None, text),
        };
        let Some(rest) = rest.strip_prefix("//") else {
            return Self::default();
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit_once('@').map_or(authority, |(_user_info, authority)| authority);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let port = match port {
            "" => scheme.as_deref().and_then(default_port),
            digits => match digits.parse() {
                Ok(port) => Some(port),
                Err(_) => return Self::default(),
            },
        };
        let host = without_brackets(host);
        if host.is_empty() { Self::default() } else { Self { scheme, host: Some(host.to_owned()), port } }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn host_matches(wanted: &str, host: &str) -> bool {
    match wanted.strip_prefix("*.") {
        Some(apex) => host.strip_suffix(apex).is_some_and(|sub| sub.is_empty() || sub.ends_with('.')),
        None => wanted == host,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn off_allows_everything() {
        for origin in ["http://evil.com", "null", "garbage", ""] {
            assert!(allows(&CheckOrigin::Off, origin), "{origin}");
        }
    }

    #[test]
    fn the_host_alone_counts_by_default() {
        let check = CheckOrigin::default();
        for origin in ["http://localhost", "https://localhost:9999", "//localhost", "http://LocalHost"] {
            assert!(allows(&check, origin), "{origin}");
        }
        for origin in
            ["http://127.0.0.1", "http://evil.com", "null", "", "file://", "localhost", "http://localhost:x"]
        {
            assert!(!allows(&check, origin), "{origin}");
        }
        let request = request(Request::get("/").header("origin", "http://any.where"));
        assert!(check.check(&request, None).is_ok());
    }

    #[test]
    fn a_list_pins_what_its_entries_name() {
        let check = CheckOrigin::list([
            "//example.com",
            "http://scheme.com",
            "https://*.ex.com",
            "//*.foo.ex.org",
            "//port.com:81",
        ])
        .unwrap();
        for origin in [
            "http://example.com",
            "https://example.com:8443",
            "http://example.com/path?x=1",
            "//example.com",
            "HTTP://scheme.com",
            "http://scheme.com:",
            "https://ex.com",
            "https://a.b.ex.com",
            "http://org1.foo.ex.org",
            "http://foo.ex.org",
            "http://port.com:81",
            "https://port.com:81",
            "http://user@example.com",
        ] {
            assert!(allows(&check, origin), "{origin}");
        }
        for origin in [
            "http://notallowed.com",
            "http://EXAMPLE.com",
            "http://sub.example.com",
            "http://example.com.evil.com",
            "http://example.com@evil.com",
            "example.com",
            "https://scheme.com",
            "http://scheme.com:8080",
            "https://prefix-ex.com",
            "http://a.ex.com",
            "https://a.ex.com:444",
            "http://bar.ex.org",
            "http://port.com",
            "http://port.com:82",
            "http://port.com:65617",
            "file://",
            "null",
            "",
        ] {
            assert!(!allows(&check, origin), "{origin}");
        }
    }

    #[test]
    fn the_connection_itself_pins_all_three_parts() {
        for (tls, host, origin, allowed) in [
            (false, "example.com:4000", "http://example.com:4000", true),
            (false, "example.com:4000", "https://example.com:4000", false),
            (false, "example.com:4000", "http://example.com", false),
            (false, "example.com:4000", "ws://example.com:4000", false),
            (true, "example.com", "https://example.com", true),
            (true, "example.com", "wss://example.com", false),
            (true, "example.com", "https://example.com:4000", false),
            (false, "[::1]:4000", "http://[::1]:4000", true),
            (false, "example.com", "null", false),
        ] {
            let request =
                request(Request::get("/").header("host", host).header("origin", origin)).with_tls(tls);
            assert_eq!(CheckOrigin::Conn.check(&request, None).is_ok(), allowed, "{host} {origin}");
        }
    }

    #[test]
    fn a_function_also_sees_origins_without_a_host() {
        let check = CheckOrigin::custom(|origin| origin.as_str() == "null" || origin.host() == Some("a.com"));
        assert!(allows(&check, "null"));
        assert!(allows(&check, "http://a.com"));
        assert!(!allows(&check, "http://b.com"));
    }

    #[test]
    fn no_header_is_allowed_and_of_several_the_first_counts() {
        let check = CheckOrigin::list(["//a.com"]).unwrap();
        assert!(check.check(&request(Request::get("/")), None).is_ok());
        let two = |first, second| request(Request::get("/").header("origin", first).header("origin", second));
        assert!(check.check(&two("http://a.com", "http://b.com"), None).is_ok());
        let refused = OriginRefused { origin: "http://b.com".to_owned() };
        assert_eq!(check.check(&two("http://b.com", "http://a.com"), None), Err(refused));
    }

    #[test]
    fn patterns_need_a_host() {
        for pattern in ["example.com", "", "null", "https://", "https:example.com", "//a.com:port"] {
            assert_eq!(OriginPattern::new(pattern), Err(OriginPatternError(pattern.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn any_header_is_allowed_or_refused(origin in proptest::collection::vec(32..=255_u8, 0..40)) {
            prop_assume!(!origin.contains(&127));
            let request = request(Request::get("/").header("origin", origin));
            let check = CheckOrigin::list(["//example.com"]).unwrap();
            prop_assert!(check.check(&request, None).is_err());
        }
    }

    fn allows(check: &CheckOrigin, origin: &str) -> bool {
        check.check(&request(Request::get("/").header("origin", origin)), Some("localhost")).is_ok()
    }

    fn request(builder: http::request::Builder) -> HttpRequest {
        HttpRequest::new(builder.body(()).unwrap().into_parts().0)
    }
}
