use redis::{Client, ConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisResult};

/// Where the server is, and as whom to connect.
#[derive(Clone)]
pub(crate) struct Server {
    info: ConnectionInfo,
    #[cfg(feature = "tls")]
    pub(crate) certificates: redis::TlsCertificates,
}

impl Server {
    pub(crate) fn new(info: ConnectionInfo) -> Self {
        let mut server = Self {
            info,
            #[cfg(feature = "tls")]
            certificates: redis::TlsCertificates { client_tls: None, root_cert: None },
        };
        // Subscribing and publishing share a connection, which takes the third version of the protocol.
        server.change(|settings| settings.set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name());
        server
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(RedisConnectionInfo) -> RedisConnectionInfo) {
        let settings = change(self.info.redis_settings().clone());
        self.info = self.info.clone().set_redis_settings(settings);
    }

    pub(crate) fn client(&self) -> RedisResult<Client> {
        #[cfg(feature = "tls")]
        if matches!(self.info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
            return Client::build_with_tls(self.info.clone(), self.certificates.clone());
        }
        Client::open(self.info.clone())
    }
}
