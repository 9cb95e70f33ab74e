//! Topics and their subscribers on this node, and the way to other nodes (FEATURES K, protocol §16).

mod broadcast;
mod subscription;
mod table;

pub use broadcast::{BroadcastError, PubSub};
pub use subscription::{Subscription, SubscriptionError};
pub(crate) use table::{SubscriberId, Target, TopicGuard};
