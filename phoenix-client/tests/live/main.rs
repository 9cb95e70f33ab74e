//! The client against the server of this project, mounted in each of the three frameworks, over real sockets.
//!
//! Between the two stands a proxy that can break the link. Nothing is timed: a test waits for what has to
//! happen, and the timeouts of the client are far longer than what they watch takes.

mod app;
mod proxy;
mod real_phoenix;
mod recording;
mod robustness;
mod server;
mod session;

/// Runs scenarios on every adapter, each with a server and a client of its own.
macro_rules! on_every_adapter {
    ($($scenario:path as $name:ident),* $(,)?) => {
        on_every_adapter!(@ warp Warp, [$($scenario as $name),*]);
        on_every_adapter!(@ actix Actix, [$($scenario as $name),*]);
        on_every_adapter!(@ axum Axum, [$($scenario as $name),*]);
    };
    (@ $module:ident $adapter:ident, [$($scenario:path as $name:ident),*]) => {
        mod $module {
            use crate::server::{Adapter, World};

            $(
                #[tokio::test]
                async fn $name() {
                    $scenario(World::start(Adapter::$adapter).await).await;
                }
            )*
        }
    };
}

on_every_adapter!(
    crate::session::both_versions as both_versions,
    crate::session::broadcasts as broadcasts,
    crate::session::binary as binary,
    crate::session::presence as presence,
    crate::session::ends_of_channels as ends_of_channels,
    crate::robustness::a_restart as a_restart,
    crate::robustness::a_cut_link as a_cut_link,
    crate::robustness::a_half_open_link as a_half_open_link,
    crate::robustness::nothing_listens as nothing_listens,
    crate::robustness::refusals as refusals,
    crate::robustness::an_expired_token as an_expired_token,
    crate::robustness::a_forced_disconnect as a_forced_disconnect,
    crate::recording::phx_records_what_can_be_replayed as phx_records_what_can_be_replayed,
);
