//! One endpoint in all three frameworks, over real sockets: behind TLS, with faulty requests, and after refused ones.

mod http;
mod servers;
mod tls;
