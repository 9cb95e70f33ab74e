/// How permessage-deflate is used with clients that offer it (FEATURES D24, RFC 7692).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateOptions {
    /// How hard to compress, from 0 (not at all) to 9 (best); 6 by default.
    pub level: u32,
    /// Whether the server keeps its window from message to message, unless the client asks it not to; `true` by
    /// default. That compresses better and costs about 256 KiB for each connection instead of while it sends.
    pub server_context_takeover: bool,
    /// Whether clients may keep their window; `true` by default.
    pub client_context_takeover: bool,
    /// How many times its size on the wire a message of more than 16 KiB may have; beyond it the connection is
    /// closed with 1009. 25 by default.
    pub max_inflate_ratio: usize,
}

impl Default for DeflateOptions {
    fn default() -> Self {
        Self { level: 6, server_context_takeover: true, client_context_takeover: true, max_inflate_ratio: 25 }
    }
}

impl DeflateOptions {
    /// The defaults of Phoenix.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how hard to compress, from 0 to 9; more counts as 9.
    pub fn level(mut self, level: u32) -> Self {
        self.level = level;
        self
    }

    /// Sets whether the server keeps its window from message to message.
    pub fn server_context_takeover(mut self, enabled: bool) -> Self {
        self.server_context_takeover = enabled;
        self
    }

    /// Sets whether clients may keep their window from message to message.
    pub fn client_context_takeover(mut self, enabled: bool) -> Self {
        self.client_context_takeover = enabled;
        self
    }

    /// Sets how many times its size on the wire a message may have.
    pub fn max_inflate_ratio(mut self, ratio: usize) -> Self {
        self.max_inflate_ratio = ratio;
        self
    }
}
