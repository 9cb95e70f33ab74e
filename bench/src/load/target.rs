//! Where the server under test is.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// The server under test: its address, and the path of its WebSocket.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
}

impl Target {
    /// `url` is `ws://HOST:PORT` or `http://HOST:PORT`; `path` ends in `/websocket` and a query with `vsn`.
    ///
    /// # Errors
    ///
    /// When the host cannot be resolved or the port is missing.
    pub fn new(url: &str, path: &str) -> io::Result<Self> {
        let (_, authority) = url.split_once("://").unwrap_or(("", url));
        let address = authority
            .trim_end_matches('/')
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        Ok(Self { address, path: path.to_owned() })
    }

    /// The path of the long-poll transport beside the WebSocket.
    pub(crate) fn longpoll_path(&self) -> String {
        self.path.replacen("/websocket", "/longpoll", 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transports_share_a_mount() {
        let target = Target::new("ws://127.0.0.1:4000/", "/bench/websocket?vsn=2.0.0").unwrap();
        assert_eq!(target.address, ([127, 0, 0, 1], 4000).into());
        assert_eq!(target.longpoll_path(), "/bench/longpoll?vsn=2.0.0");
    }

    #[test]
    fn a_url_without_a_port_is_refused() {
        assert!(Target::new("ws://127.0.0.1", "/").is_err());
    }
}
