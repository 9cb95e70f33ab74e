use std::any::Any;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

/// What transports of other crates keep with an endpoint: at most one value of each type.
#[derive(Default)]
pub(super) struct Extensions(RwLock<Vec<Arc<dyn Any + Send + Sync>>>);

impl Extensions {
    pub(super) fn get_or_insert<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(found) = find(&self.0.read()) {
            return found;
        }
        let mut values = self.0.write();
        if let Some(found) = find(&values) {
            return found;
        }
        let new = Arc::new(make());
        values.push(Arc::clone(&new) as Arc<dyn Any + Send + Sync>);
        new
    }
}

fn find<T: Any + Send + Sync>(values: &[Arc<dyn Any + Send + Sync>]) -> Option<Arc<T>> {
    values.iter().find_map(|value| Arc::clone(value).downcast().ok())
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_of_a_type() {
        let extensions = Extensions::default();
        assert_eq!(*extensions.get_or_insert(|| 1_u8), 1);
        assert_eq!(*extensions.get_or_insert(|| 2_u8), 1);
        assert_eq!(*extensions.get_or_insert(|| 3_u16), 3);
    }
}
