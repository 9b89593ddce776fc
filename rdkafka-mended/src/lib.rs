//! What librdkafka does wrong, mended on its way.
//!
//! A broker that comes back answers a Fetch with the new leaders of partitions (KIP-951). librdkafka 2.5 and later makes room for
//! all of them, fills in those that have a leader, and reads the rest all the same, from memory that nobody has written: of a
//! partition without a leader yet, the process may crash (<https://github.com/confluentinc/librdkafka/issues/5280>). It is so
//! in the newest one, 2.15.0, too.
//!
//! The linker sends librdkafka's own call through here (`--wrap`, in `.cargo/config.toml`; whoever sets `RUSTFLAGS`, which
//! replaces it, has to name it there as well, or nothing can be linked). So every program with librdkafka in it needs this crate,
//! if only by `use rdkafka_mended as _;`.
#![cfg(target_os = "linux")]

use std::ffi::c_int;
use std::ptr;

use rdkafka::bindings::{rd_kafka_metadata_t, rd_kafka_metadata_topic_t, rd_kafka_t};

/// `rd_kafka_metadata_partition_t` of `rdkafka.h`, with its error as a number: memory that was not written may have any.
#[repr(C)]
struct Partition {
    id: i32,
    err: c_int,
    leader: i32,
    replica_cnt: c_int,
    replicas: *mut i32,
    isr_cnt: c_int,
    isrs: *mut i32,
}

impl Partition {
    /// Whether librdkafka has written it: it clears all of it, and sets the id and the leader.
    fn is_told(&self) -> bool {
        let rest = (self.err, self.replica_cnt, self.isr_cnt) == (0, 0, 0);
        self.id >= 0 && self.leader >= 0 && rest && self.replicas.is_null() && self.isrs.is_null()
    }
}

#[expect(unsafe_code, reason = "librdkafka calls it, and is called by it")]
mod call {
    use super::*;

    unsafe extern "C" {
        /// librdkafka's own. It answers how an operation went (`rd_kafka_op_res_t`).
        fn __real_rd_kafka_metadata_update_op(rk: *mut rd_kafka_t, update: *mut rd_kafka_metadata_t) -> c_int;
    }

    /// On librdkafka's main thread, with what a broker has told of leaders. `update` is the first member of what is passed
    /// (`rd_kafka_metadata_internal_t`), which that type promises.
    ///
    /// # Safety
    /// Only librdkafka may call it, as it calls its own.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __wrap_rd_kafka_metadata_update_op(
        rk: *mut rd_kafka_t,
        update: *mut rd_kafka_metadata_t,
    ) -> c_int {
        // SAFETY: librdkafka passes what it has made, to nobody else, and it is passed on as it came.
        unsafe {
            leave_out_untold(update);
            __real_rd_kafka_metadata_update_op(rk, update)
        }
    }

    /// Each topic keeps the partitions up to the first that was not written. They are written from the first on.
    ///
    /// # Safety
    /// `update` has as many topics, and each of them room for as many partitions, as it says.
    pub(super) unsafe fn leave_out_untold(update: *mut rd_kafka_metadata_t) {
        // SAFETY: all of it is in one piece of memory, of the sizes that stand in it.
        unsafe {
            for topic in 0..count((*update).topic_cnt) {
                let topic: *mut rd_kafka_metadata_topic_t = (*update).topics.add(topic);
                let partitions: *const Partition = (*topic).partitions.cast();
                let told = |&partition: &usize| ptr::read(partitions.add(partition)).is_told();
                let told = (0..count((*topic).partition_cnt)).take_while(told).count();
                (*topic).partition_cnt = c_int::try_from(told).unwrap_or_default();
            }
        }
    }

    fn count(count: c_int) -> usize {
        usize::try_from(count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use rdkafka::bindings::{rd_kafka_metadata_partition_t, rd_kafka_resp_err_t};

    use super::*;

    fn partition(id: i32, leader: i32) -> Partition {
        Partition { id, err: 0, leader, replica_cnt: 0, replicas: ptr::null_mut(), isr_cnt: 0, isrs: ptr::null_mut() }
    }

    /// What was in that memory before: in a process that died of it, behind five partitions that were written.
    fn garbage(id: i32) -> Partition {
        Partition { err: 32_628, replicas: ptr::dangling_mut(), isr_cnt: -201_288_904, ..partition(id, 1) }
    }

    fn left(mut partitions: Vec<Partition>) -> c_int {
        let mut topic = rd_kafka_metadata_topic_t {
            topic: ptr::null_mut(),
            partition_cnt: c_int::try_from(partitions.len()).unwrap(),
            partitions: partitions.as_mut_ptr().cast(),
            err: rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
        };
        let mut update = rd_kafka_metadata_t {
            broker_cnt: 0,
            brokers: ptr::null_mut(),
            topic_cnt: 1,
            topics: &raw mut topic,
            orig_broker_id: 1,
            orig_broker_name: ptr::null_mut(),
        };
        #[expect(unsafe_code, reason = "made up right above")]
        // SAFETY: one topic, with as many partitions as it says.
        unsafe {
            call::leave_out_untold(&raw mut update);
        }
        topic.partition_cnt
    }

    #[test]
    fn partitions_that_were_not_written_are_left_out() {
        assert_eq!(left(vec![]), 0);
        assert_eq!(left(vec![partition(0, 1), partition(63, 2)]), 2, "what was told stays");
        assert_eq!(left(vec![partition(7, 1), garbage(-201_288_872), garbage(5)]), 1);
        assert_eq!(left(vec![garbage(3), garbage(-1)]), 0);
        assert_eq!(left(vec![partition(3, -1)]), 0, "without a leader there is nothing to tell");
    }

    #[test]
    fn a_partition_is_as_in_librdkafka() {
        type Theirs = rd_kafka_metadata_partition_t;
        assert_eq!(size_of::<Partition>(), size_of::<Theirs>());
        let ours = [offset_of!(Partition, err), offset_of!(Partition, leader), offset_of!(Partition, isrs)];
        assert_eq!(ours, [offset_of!(Theirs, err), offset_of!(Theirs, leader), offset_of!(Theirs, isrs)]);
    }

    /// It goes by what is no promise of librdkafka. When this fails: is the issue closed, then this room can go; else, does
    /// `rd_kafka_handle_Fetch_metadata_update` still fill partitions from the first on, and is it still that which calls?
    #[test]
    fn it_is_looked_at_again_with_each_librdkafka() {
        assert_eq!(rdkafka::util::get_rdkafka_version().1, "2.12.1");
    }
}
