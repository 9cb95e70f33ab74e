//! How byte streams to the server are made: TCP and TLS by default, anything else by the application.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Where a byte stream has to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The name or address of the server.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the stream has to be encrypted: `wss` or `https`.
    pub tls: bool,
}

/// A connected byte stream, encrypted if that was asked for.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// Makes the byte streams of a socket, for WebSockets and for long polling.
///
/// The default is [`Direct`]. A proxy, another certificate store or a test replaces it, and may use
/// [`encrypt`] on the stream it has made.
pub trait Connect: Send + Sync + 'static {
    /// Connects to a target. Dropping the future gives up.
    fn connect(&self, target: Target) -> Connecting;
}

/// A byte stream in the making.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send>>;

/// TCP without delay, and TLS by the enabled feature.
#[derive(Debug, Clone, Copy, Default)]
pub struct Direct;

impl Connect for Direct {
    fn connect(&self, target: Target) -> Connecting {
        Box::pin(async move {
            let stream = TcpStream::connect((&*target.host, target.port)).await?;
            stream.set_nodelay(true)?;
            if target.tls { encrypt(stream, &target.host).await } else { Ok(Box::new(stream) as _) }
        })
    }
}

/// Encrypts a stream with the TLS library of the enabled feature, and checks the server's certificate.
///
/// # Errors
/// Those of the handshake, and `Unsupported` when neither `rustls` nor `native-tls` is enabled.
pub async fn encrypt(stream: impl ByteStream, host: &str) -> io::Result<Box<dyn ByteStream>> {
    tls::encrypt(stream, host).await
}

#[cfg(feature = "native-tls")]
mod tls {
    use std::io;

    use tokio_native_tls::{TlsConnector, native_tls};

    use super::ByteStream;

    pub(super) async fn encrypt(stream: impl ByteStream, host: &str) -> io::Result<Box<dyn ByteStream>> {
        let connector = native_tls::TlsConnector::new().map_err(io::Error::other)?;
        let stream = TlsConnector::from(connector).connect(host, stream).await;
        Ok(Box::new(stream.map_err(io::Error::other)?))
    }
}

#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
mod tls {
    use std::io;
    use std::sync::{Arc, LazyLock};

    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::ByteStream;

    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions");
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    });

    pub(super) async fn encrypt(stream: impl ByteStream, host: &str) -> io::Result<Box<dyn ByteStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(Arc::clone(&CONFIG)).connect(name, stream).await?))
    }
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
mod tls {
    use std::io;

    use super::ByteStream;

    #[expect(clippy::unused_async, reason = "the same signature as with TLS")]
    pub(super) async fn encrypt(_: impl ByteStream, _: &str) -> io::Result<Box<dyn ByteStream>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "neither rustls nor native-tls is enabled"))
    }
}

impl Target {
    /// Where a complete address of scheme `ws`, `wss`, `http` or `https` leads; `None` for anything else.
    pub(crate) fn of(uri: &http::Uri) -> Option<Self> {
        let tls = match uri.scheme_str()? {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return None,
        };
        // An IPv6 address has brackets in an address only.
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Some(Self { host, port, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_addresses() {
        let target = |uri: &str| Target::of(&uri.parse().unwrap());
        let expected = |host: &str, port, tls| Some(Target { host: host.to_owned(), port, tls });
        assert_eq!(target("ws://example.com/socket"), expected("example.com", 80, false));
        assert_eq!(target("wss://[::1]:4001/socket"), expected("::1", 4001, true));
        assert_eq!(target("https://example.com"), expected("example.com", 443, true));
        assert_eq!(target("ftp://example.com"), None);
        assert_eq!(target("/socket"), None);
    }
}
