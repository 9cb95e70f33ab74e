//! The suites of `conformance/live`: what each runs, against which server, and what it needs.

/// What a suite talks to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The reference application, started once per adapter and given by its URL.
    ReferenceApp,
    /// The chat example, which its suite starts and ends itself.
    Chat,
}

/// What the server must offer for a suite to make sense.
#[derive(Clone, Copy)]
pub(crate) enum Feature {
    LongPoll,
    Presence,
    WebSocket,
}

impl Feature {
    /// The one place that says which features are there.
    pub(crate) fn is_offered(self) -> bool {
        match self {
            Self::LongPoll | Self::Presence | Self::WebSocket => true,
        }
    }
}

/// One call of Node's test runner.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) subject: Subject,
    pub(crate) feature: Feature,
    pub(crate) in_browser: bool,
    /// A folder, or one file, under `conformance/live`.
    pub(crate) tests: &'static str,
    pub(crate) transport: &'static str,
}

/// All suites, in the order in which they run.
pub(crate) const SUITES: &[Suite] = &[
    node("phoenix.js over WebSocket", Feature::WebSocket, "themes", "websocket"),
    node("phoenix.js presence", Feature::Presence, "presence", "websocket"),
    node("phoenix.js over long-polling (XHR)", Feature::LongPoll, "themes", "longpoll-xhr"),
    node("phoenix.js over long-polling (fetch)", Feature::LongPoll, "themes", "longpoll-fetch"),
    node("phoenix.js falling back to long-polling", Feature::LongPoll, "longpoll", "longpoll-xhr"),
    Suite { in_browser: true, ..node("Chromium", Feature::WebSocket, "browser/page.test.js", "websocket") },
    Suite {
        in_browser: true,
        ..node("Chromium over long-polling", Feature::LongPoll, "browser/longpoll.test.js", "longpoll-xhr")
    },
    Suite {
        in_browser: true,
        subject: Subject::Chat,
        ..node("Chromium with the chat page", Feature::WebSocket, "browser/chat.test.js", "websocket")
    },
    Suite {
        in_browser: true,
        subject: Subject::Chat,
        ..node(
            "Chromium with the chat page's presence",
            Feature::Presence,
            "browser/chat_presence.test.js",
            "websocket",
        )
    },
];

const fn node(name: &'static str, feature: Feature, tests: &'static str, transport: &'static str) -> Suite {
    Suite { name, subject: Subject::ReferenceApp, feature, in_browser: false, tests, transport }
}
