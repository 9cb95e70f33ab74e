use phoenix_server::{Route, Text};

/// The names of the Redis channels of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    prefix: String,
}

impl Channels {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(crate) fn of(&self, route: &Route) -> String {
        match route {
            Route::Topic(topic) => self.of_topic(topic),
            Route::Node(node) => format!("{}:node:{node}", self.prefix),
        }
    }

    pub(crate) fn of_topics(&self, topics: &[Text]) -> Vec<String> {
        topics.iter().map(|topic| self.of_topic(topic)).collect()
    }

    fn of_topic(&self, topic: &str) -> String {
        format!("{}:topic:{topic}", self.prefix)
    }
}
