//! The client against the server of this project, mounted in each of the three frameworks, over real sockets.
//!
//! Between the two stands a proxy that can break the link. Nothing is timed: a test waits for what has to
//! happen, and the timeouts of the client are far longer than what they watch takes.

mod app;
mod fallback;
mod proxy;
mod real_phoenix;
mod recording;
mod robustness;
mod server;
mod session;

/// Runs scenarios on every adapter and by both transports, each with a server and a client of its own.
macro_rules! on_every_adapter {
    (both: [$($scenario:ident::$name:ident),* $(,)?], websocket: [$($ws:ident::$ws_name:ident),* $(,)?]) => {
        on_every_adapter!(@ warp Warp, [$($scenario::$name),*], [$($ws::$ws_name),*]);
        on_every_adapter!(@ actix Actix, [$($scenario::$name),*], [$($ws::$ws_name),*]);
        on_every_adapter!(@ axum Axum, [$($scenario::$name),*], [$($ws::$ws_name),*]);
    };
    (@ $module:ident $adapter:ident, $both:tt, $websocket:tt) => {
        mod $module {
            mod websocket {
                on_every_adapter!(# $adapter WebSocket, $both);
                on_every_adapter!(# $adapter WebSocket, $websocket);
            }

            mod long_poll {
                on_every_adapter!(# $adapter LongPoll, $both);
            }
        }
    };
    (# $adapter:ident $transport:ident, [$($scenario:ident::$name:ident),*]) => {
        $(
            #[tokio::test]
            async fn $name() {
                let world = crate::server::World::start(
                    crate::server::Adapter::$adapter,
                    phoenix_client::Transport::$transport,
                );
                crate::$scenario::$name(world.await).await;
            }
        )*
    };
}

on_every_adapter!(
    both: [
        session::both_versions,
        session::broadcasts,
        session::binary,
        session::presence,
        session::ends_of_channels,
        robustness::a_restart,
        robustness::a_cut_link,
        robustness::a_half_open_link,
        robustness::nothing_listens,
        robustness::refusals,
        robustness::an_expired_token,
        robustness::a_forced_disconnect,
        recording::phx_records_what_can_be_replayed,
    ],
    websocket: [
        fallback::no_websocket_is_served,
        fallback::a_websocket_that_says_nothing,
        fallback::a_healthy_websocket_is_kept,
    ]
);
