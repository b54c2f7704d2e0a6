//! Which instance a request goes to.

use super::random::Random;

/// How requests are routed, as SageMaker's `RoutingStrategy` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Routing {
    /// To any.
    #[default]
    #[serde(rename = "RANDOM")]
    Random,
    /// To one with the fewest requests in it.
    #[serde(rename = "LEAST_OUTSTANDING_REQUESTS")]
    LeastOutstanding,
}

/// Where an instance stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    requests: u32,
    /// Among those with as many.
    at: u32,
}

/// Instances that take requests, by how many are in each. A change takes the same time however many
/// instances there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranks {
    /// Instances with so many requests.
    with: Vec<Vec<u32>>,
    /// By instance; none where it takes no requests.
    places: Vec<Option<Place>>,
    /// No instance has fewer.
    fewest: usize,
    /// All of them, in the order of their coming.
    all: Vec<u32>,
}

impl Ranks {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn all(&self) -> &[u32] {
        &self.all
    }

    /// The one that came last.
    pub(super) fn newest(&self) -> Option<u32> {
        self.all.last().copied()
    }

    /// Takes an instance in that has no requests.
    pub(super) fn insert(&mut self, instance: u32) {
        let at = instance as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, None);
        }
        self.all.push(instance);
        self.put(instance, 0);
    }

    /// Takes an instance out.
    pub(super) fn remove(&mut self, instance: u32) {
        if self.take(instance).is_some() {
            self.all.retain(|&other| other != instance);
        }
    }

    /// An instance has another number of requests now.
    pub(super) fn change(&mut self, instance: u32, requests: u32) {
        if self.take(instance).is_some() {
            self.put(instance, requests);
        }
    }

    /// Where the next request goes; none where there is no instance.
    pub(super) fn choose(&mut self, routing: Routing, random: &mut Random) -> Option<u32> {
        if self.all.is_empty() {
            return None;
        }
        let those = match routing {
            Routing::Random => &self.all,
            Routing::LeastOutstanding => {
                while self.with[self.fewest].is_empty() {
                    self.fewest += 1;
                }
                &self.with[self.fewest]
            }
        };
        Some(those[random.below(those.len() as u32) as usize])
    }

    fn put(&mut self, instance: u32, requests: u32) {
        let count = requests as usize;
        if self.with.len() <= count {
            self.with.resize(count + 1, Vec::new());
        }
        let those = &mut self.with[count];
        self.places[instance as usize] = Some(Place {
            requests,
            at: those.len() as u32,
        });
        those.push(instance);
        self.fewest = self.fewest.min(count);
    }

    fn take(&mut self, instance: u32) -> Option<()> {
        let place = self.places.get_mut(instance as usize)?.take()?;
        let those = &mut self.with[place.requests as usize];
        those.swap_remove(place.at as usize);
        if let Some(&moved) = those.get(place.at as usize) {
            self.places[moved as usize] = Some(place);
        }
        Some(())
    }
}
