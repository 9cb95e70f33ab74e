use std::num::NonZeroU32;

/// The shard of a pool that a topic belongs to (protocol §17.2), a number below `pool_size`.
///
/// Stable across releases and machines, since all nodes of a cluster must agree; so must their pool sizes.
pub fn shard_of(topic: &str, pool_size: NonZeroU32) -> u32 {
    // FNV-1a, whose definition will not change under us.
    let hash =
        topic.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % pool_size
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tp_01_topics_spread_over_all_shards_and_stay_there() {
        for pool_size in [1, 2, 8, 512] {
            let pool_size = NonZeroU32::new(pool_size).unwrap();
            let shards: BTreeSet<_> =
                (0..10_000).map(|n| shard_of(&format!("room:{n}"), pool_size)).collect();
            assert!(shards.into_iter().eq(0..pool_size.get()));
        }
        assert_eq!(shard_of("foobar", NonZeroU32::MAX), 0xbf9c_f968, "the published test vector of FNV-1a");
    }
}
