//! Batches with locked rows.

use super::*;

/// Reports item 1 as locked in the first write; records the arguments of each write.
struct Locks(Mutex<Vec<(Vec<u32>, bool)>>);

#[async_trait]
impl BatchWrite for Locks {
    type Item = u32;
    type Answer = u32;

    const KIND: &'static str = "test";

    fn identity(_: &u32) -> Option<Uuid> {
        None
    }

    fn bytes(_: &u32) -> usize {
        1
    }

    async fn write(&self, items: &[u32], again: bool) -> Result<Vec<BatchOutcome<u32>>> {
        let mut told = self.0.lock().unwrap();
        told.push((items.to_vec(), again));
        let is_first = told.len() == 1;
        let outcome =
            |item: &u32| if is_first && *item == 1 { BatchOutcome::Locked } else { BatchOutcome::Done(*item) };
        Ok(items.iter().map(outcome).collect())
    }
}

#[tokio::test]
async fn what_was_locked_is_written_as_if_an_earlier_try_may_have_been() {
    let batcher = Batcher::new(Locks(Mutex::default()), &Arc::default());
    let (one, two) = tokio::join!(batcher.call(1), batcher.call(2));
    assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
    assert_eq!(*batcher.0.work.0.lock().unwrap(), [(vec![1, 2], false), (vec![1], true)]);
}
