//! Phoenix Channels server runtime on tokio: sockets, channels, PubSub.
