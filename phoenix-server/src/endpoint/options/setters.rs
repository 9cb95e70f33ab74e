//! Setters that the options of several transports have.

/// Of all transports.
macro_rules! common_setters {
    () => {
        /// Sets the path below that of the mount (FEATURES D7).
        pub fn path(mut self, path: impl Into<String>) -> Self {
            self.path = path.into();
            self
        }

        /// Sets the serializers (FEATURES D8).
        pub fn serializers(mut self, serializers: Serializers) -> Self {
            self.serializers = serializers;
            self
        }

        /// Sets which origins may connect (FEATURES D10).
        pub fn check_origin(mut self, policy: CheckOrigin) -> Self {
            self.check_origin = Some(policy);
            self
        }

        /// Sets what `connect` is told about the request (FEATURES D11, D13).
        pub fn connect_info(mut self, options: ConnectInfoOptions) -> Self {
            self.connect_info = options;
            self
        }

        /// Sets the level at which connections are logged, in place of that of the socket (FEATURES D14).
        pub fn log(mut self, level: LevelFilter) -> Self {
            self.log = Some(level);
            self
        }

        /// Sets the level at which every request is logged (FEATURES D9), with its path but without its query.
        pub fn transport_log(mut self, level: LevelFilter) -> Self {
            self.transport_log = level;
            self
        }
    };
}

/// Of transports with a connection that may fall silent or get stuck.
macro_rules! timeout_setters {
    () => {
        /// Sets after how long without anything received a connection is closed, `None` for never (FEATURES D16).
        pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.timeout = timeout.into();
            self
        }

        /// Sets how long nothing may be written while something waits to be.
        pub fn write_timeout(mut self, timeout: Duration) -> Self {
            self.write_timeout = timeout;
            self
        }
    };
}

pub(super) use {common_setters, timeout_setters};
