//! One endpoint in all three frameworks and in bare hyper, over real sockets: behind TLS, with faulty requests, after refused
//! ones, and with a socket that has no channels.

mod http;
mod raw;
mod servers;
mod tls;
