use std::error::Error;
use std::fmt;

/// What makes a channel crash: any error, or a text.
///
/// `?` turns every error type into it. Like that of `anyhow`, it is no `std::error::Error` itself, so that
/// this conversion can exist.
pub struct Crash(Box<dyn Error + Send + Sync>);

impl Crash {
    /// A crash with a text for the log.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into().into())
    }

    /// The crash of a channel that has no handler for an event, as a missing `handle_in` clause in Phoenix.
    pub fn unhandled(event: &str) -> Self {
        Self::new(format!("no handler for event {event:?}"))
    }

    /// The error behind it.
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }

    /// The crash that a caught panic stands for.
    pub(crate) fn from_panic(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::new(format!("panicked: {}", text.unwrap_or("(no message)")))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Crash {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
