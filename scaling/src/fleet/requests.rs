//! A fleet, request by request.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::arrivals::{Arrival, Arrivals};
use super::bucket::{is_known, Bucket, Recent, Scales, BUCKET_SECS};
use super::instance::{Instance, Limits, NONE};
use super::law::Law;
use super::random::Random;
use super::routing::Ranks;
use super::run::Fed;
use super::tally::{Counted, Failure, Tally};
use super::Workload;
use crate::policy::{Invalid, MetricStat};
use crate::simulate::World;
use crate::trace::{Kind, Row, MOST_COSTS};

/// What a request is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing: the place is free.
    Free,
    /// It will be sent again.
    Away,
    /// It waits in its instance.
    Queued,
    /// It waits, and its caller has gone.
    Dead,
    /// It runs.
    Running,
    /// It runs, and its caller has gone.
    Abandoned,
}

/// A request.
#[derive(Debug, Clone, Copy)]
struct Request {
    /// The first attempt.
    sent_us: u64,
    /// This one.
    arrived_us: u64,
    slot_us: u64,
    /// What `OfferedLoad` counts it with, microseconds.
    ask_us: f32,
    instance: u32,
    /// The next in the queue, or in the same run.
    next: u32,
    /// How often this place has been used.
    generation: u32,
    /// Which estimate it teaches.
    kind: u16,
    attempts: u8,
    state: State,
    is_client: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The run of this request, of this generation, is over.
    RunEnds(u32, u32),
    /// It is sent again.
    Again(u32),
    /// A caller of the closed loop sends.
    Send,
    /// An entry of [`Workload::failures`].
    Failure(u32),
    /// Dead instances are replaced.
    Replace,
}

/// Slot time of requests alike, as a server learns it: the mean of the last thousand.
#[derive(Debug, Clone, Copy, Default)]
struct Estimate {
    mean_us: f64,
    seen: f64,
}

impl Estimate {
    fn learn(&mut self, micros: f64) {
        self.seen = (self.seen + 1.0).min(1000.0);
        self.mean_us += (micros - self.mean_us) / self.seen;
    }
}

/// No request takes longer: eleven days, in microseconds.
const LONGEST_SLOT_US: f64 = 1e12;

/// Sizes between two powers of two are alike.
const SIZES: usize = 64;

/// A fleet that follows every request.
pub struct Fleet<'w, R> {
    workload: &'w Workload,
    limits: Limits,
    kind: Kind,
    laws: Vec<Law>,
    /// Up to which share of all requests each class goes.
    shares: Vec<f64>,
    /// Milliseconds for a unit of each column, and the column that is the size.
    ms_per: [f64; MOST_COSTS],
    size: Option<usize>,
    /// By class and size, where a request's cost comes from the trace.
    estimates: Vec<Estimate>,
    arrivals: Arrivals<R>,
    next_arrival: Option<Arrival>,
    /// Of a closed loop: the row that comes, and the one that is.
    next_row: Option<Row>,
    row: Option<Row>,
    clients: u64,
    random: Random,
    instances: Vec<Instance>,
    unused_instances: Vec<u32>,
    ranks: Ranks,
    requests: Vec<Request>,
    unused: Vec<u32>,
    due: BinaryHeap<Reverse<(u64, Due)>>,
    /// Callers give up: when, which request, of which generation.
    deadlines: VecDeque<(u64, u32, u32)>,
    /// When dead instances are replaced.
    missing: VecDeque<u64>,
    timeout_us: u64,
    replaced_after_us: u64,
    now_us: u64,
    bucket: Bucket,
    recent: Recent,
    tally: Tally,
}

impl<'w, R: Iterator<Item = Result<Row, Invalid>>> Fleet<'w, R> {
    pub(super) fn new(workload: &'w Workload, fed: Fed<R>) -> Self {
        let profile = &workload.profile;
        let columns = profile.columns();
        let mut ms_per = [0.0; MOST_COSTS];
        for (own, column) in ms_per.iter_mut().zip(&columns) {
            *own = profile.ms_per.get(column).copied().unwrap_or(0.0);
        }
        let size = profile.size.as_ref();
        let mut shares: Vec<f64> = profile.classes.iter().map(|class| class.share).collect();
        let all: f64 = shares.iter().sum();
        let mut sum = 0.0;
        for share in &mut shares {
            sum += *share / all;
            *share = sum;
        }
        let scales = Scales {
            vcpus: f64::from(profile.vcpus),
            gpus: f64::from(profile.gpus),
        };
        let mut fleet = Self {
            workload,
            limits: Limits::new(profile),
            kind: fed.kind,
            laws: profile
                .classes
                .iter()
                .map(|class| Law::new(class.cv))
                .collect(),
            shares,
            ms_per,
            size: size.and_then(|size| columns.iter().position(|column| column == size)),
            estimates: vec![Estimate::default(); profile.classes.len() * SIZES],
            arrivals: Arrivals::new(fed.rows, workload.scale, fed.shift_us, fed.seed),
            next_arrival: None,
            next_row: None,
            row: None,
            clients: 0,
            random: Random::new(fed.seed ^ 0x5eed),
            instances: Vec::new(),
            unused_instances: Vec::new(),
            ranks: Ranks::default(),
            requests: Vec::new(),
            unused: Vec::new(),
            due: BinaryHeap::new(),
            deadlines: VecDeque::new(),
            missing: VecDeque::new(),
            timeout_us: (profile.timeout_secs * 1e6) as u64,
            replaced_after_us: fed.launch_secs * 1_000_000,
            now_us: 0,
            bucket: Bucket::default(),
            recent: Recent::new(fed.longest_secs, scales),
            tally: Tally::new(workload.slo, fed.rate),
        };
        for (at, failure) in workload.failures.iter().enumerate() {
            fleet.due_at(failure.at * 1_000_000, Due::Failure(at as u32));
        }
        match fed.kind {
            Kind::Clients => fleet.next_row = fleet.arrivals.next_row(),
            kind => fleet.next_arrival = fleet.arrivals.next(kind),
        }
        fleet
    }

    /// Whether a metric is published.
    #[must_use]
    pub fn publishes(metric: &MetricStat) -> bool {
        is_known(metric)
    }

    fn due_at(&mut self, at_us: u64, due: Due) {
        self.due.push(Reverse((at_us, due)));
    }

    /// Has so many instances in service, or on their way to replace dead ones.
    fn set_capacity(&mut self, capacity: u32) {
        let wanted = capacity as usize;
        while self.ranks.len() + self.missing.len() < wanted {
            self.add_instance();
        }
        while self.ranks.len() + self.missing.len() > wanted {
            if self.missing.pop_back().is_none() {
                if let Some(newest) = self.ranks.newest() {
                    self.retire(newest);
                }
            }
        }
    }

    fn add_instance(&mut self) {
        let new = Instance::new(self.now_us);
        let id = match self.unused_instances.pop() {
            Some(id) => {
                self.instances[id as usize] = new;
                id
            }
            None => {
                self.instances.push(new);
                (self.instances.len() - 1) as u32
            }
        };
        self.ranks.insert(id);
    }

    /// Takes no more requests; those in it are answered.
    fn retire(&mut self, id: u32) {
        self.ranks.remove(id);
        let instance = &mut self.instances[id as usize];
        instance.report(self.now_us, &self.limits, &mut self.bucket);
        instance.in_service = false;
        if instance.busy == 0 && instance.outstanding == 0 {
            self.unused_instances.push(id);
        }
    }

    /// Everything that happens before `stop_us`.
    fn advance(&mut self, stop_us: u64) {
        loop {
            let arrival = self.next_arrival.map_or(u64::MAX, |next| next.at_us);
            let due = self.due.peek().map_or(u64::MAX, |next| next.0 .0);
            let deadline = self.deadlines.front().map_or(u64::MAX, |next| next.0);
            let row = self.next_row.map_or(u64::MAX, |row| row.from_us);
            let next = arrival.min(due).min(deadline).min(row);
            if next >= stop_us {
                break;
            }
            self.now_us = self.now_us.max(next);
            if due == next {
                if let Some(Reverse((_, due))) = self.due.pop() {
                    self.happen(due);
                }
            } else if deadline == next {
                if let Some((_, id, generation)) = self.deadlines.pop_front() {
                    self.give_up(id, generation);
                }
            } else if arrival == next {
                if let Some(arrival) = self.next_arrival.take() {
                    self.next_arrival = self.arrivals.next(self.kind);
                    self.arrive(arrival, false);
                }
            } else if let Some(row) = self.next_row.take() {
                self.next_row = self.arrivals.next_row();
                self.row = Some(row);
                self.let_clients_in();
            }
        }
        self.now_us = stop_us;
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::RunEnds(id, generation) => self.end_run(id, generation),
            Due::Again(id) => self.submit(id),
            Due::Send => self.send(),
            Due::Failure(at) => self.kill(at),
            Due::Replace => {
                while self.missing.front().is_some_and(|&at| at <= self.now_us) {
                    self.missing.pop_front();
                    self.add_instance();
                }
            }
        }
    }

    /// A new request.
    fn arrive(&mut self, arrival: Arrival, is_client: bool) {
        let class = match arrival.class {
            Some(class) => class as usize,
            None if self.shares.len() == 1 => 0,
            None => {
                let at = self.random.unit();
                let found = self.shares.iter().position(|&share| at < share);
                found.unwrap_or(self.shares.len() - 1)
            }
        };
        let mut mean_ms = self.workload.profile.classes[class].mean_ms;
        for (cost, ms) in arrival.costs.iter().zip(&self.ms_per) {
            mean_ms += cost * ms;
        }
        let slot_us = (1000.0 * mean_ms * self.laws[class].draw(&mut self.random))
            .clamp(1.0, LONGEST_SLOT_US);
        let size = self.size.map_or(0, |column| {
            (arrival.costs[column].max(1.0).log2() as usize).min(SIZES - 1)
        });
        let kind = class * SIZES + size;
        let ask_us = match self.workload.profile.ms_per.is_empty() {
            true => 1000.0 * mean_ms,
            false if self.estimates[kind].seen > 0.0 => self.estimates[kind].mean_us,
            false => 1000.0 * mean_ms,
        };
        self.tally.arrive(1.0);
        let id = self.place(Request {
            sent_us: self.now_us,
            arrived_us: self.now_us,
            slot_us: slot_us as u64,
            ask_us: (ask_us * self.workload.profile.batched()) as f32,
            instance: NONE,
            next: NONE,
            generation: 0,
            kind: kind as u16,
            attempts: 1,
            state: State::Away,
            is_client,
        });
        self.submit(id);
    }

    fn place(&mut self, request: Request) -> u32 {
        match self.unused.pop() {
            Some(id) => {
                let place = &mut self.requests[id as usize];
                *place = Request {
                    generation: place.generation,
                    ..request
                };
                id
            }
            None => {
                self.requests.push(request);
                (self.requests.len() - 1) as u32
            }
        }
    }

    fn forget(&mut self, id: u32) {
        let request = &mut self.requests[id as usize];
        request.state = State::Free;
        request.generation = request.generation.wrapping_add(1);
        self.unused.push(id);
    }

    /// Sends a request to an instance.
    fn submit(&mut self, id: u32) {
        let Some(to) = self.ranks.choose(self.workload.routing, &mut self.random) else {
            self.bucket.no_capacity += 1.0;
            let request = self.requests[id as usize];
            self.forget(id);
            return self.fail(request, Failure::Shed);
        };
        self.bucket.invocations += 1.0;
        self.bucket.per_instance += 1.0 / self.ranks.len() as f64;
        let now = self.now_us;
        let request = &mut self.requests[id as usize];
        request.arrived_us = now;
        request.instance = to;
        let (slot_us, ask_us) = (request.slot_us, f64::from(request.ask_us));
        let instance = &mut self.instances[to as usize];
        instance.count(now);
        instance.ask(ask_us);
        let must_wait = instance.busy == self.limits.slots;
        if must_wait && instance.queued >= self.limits.queue {
            self.bucket.rejected += 1.0;
            let request = *request;
            self.forget(id);
            return self.fail(request, Failure::Shed);
        }
        if must_wait || slot_us > self.timeout_us {
            let deadline = (now + self.timeout_us, id, request.generation);
            self.deadlines.push_back(deadline);
        }
        if must_wait {
            request.state = State::Queued;
            request.next = NONE;
            match instance.last {
                NONE => instance.first = id,
                last => self.requests[last as usize].next = id,
            }
            instance.last = id;
            instance.queued += 1;
            instance.queued_ask += ask_us;
        } else {
            request.state = State::Running;
            request.next = NONE;
            let generation = request.generation;
            instance.take_slot(now, &self.limits);
            self.due_at(now + slot_us, Due::RunEnds(id, generation));
        }
        let instance = &mut self.instances[to as usize];
        instance.hold();
        self.ranks.change(to, instance.outstanding);
    }

    fn end_run(&mut self, head: u32, generation: u32) {
        if self.requests[head as usize].generation != generation {
            return;
        }
        let at = self.requests[head as usize].instance;
        self.instances[at as usize].count(self.now_us);
        let mut next = head;
        while next != NONE {
            let request = self.requests[next as usize];
            self.instances[at as usize].outstanding -= 1;
            self.estimates[usize::from(request.kind)].learn(request.slot_us as f64);
            self.forget(next);
            if request.state == State::Running {
                let latency = (self.now_us - request.arrived_us) as f64;
                self.bucket.latency.add(latency, 1.0);
                self.tally
                    .answer((self.now_us - request.sent_us) as f64, 1.0);
                self.think(request, 1.0);
            }
            next = request.next;
        }
        self.fill_slot(at);
        let instance = &self.instances[at as usize];
        if instance.in_service {
            self.ranks.change(at, instance.outstanding);
        } else if instance.busy == 0 && instance.outstanding == 0 {
            self.unused_instances.push(at);
        }
    }

    /// A slot is free: the next run, or none.
    fn fill_slot(&mut self, at: u32) {
        let now = self.now_us;
        let batch = self.workload.profile.batch;
        let most = batch.map_or(1, |batch| batch.most);
        let (mut head, mut tail, mut taken) = (NONE, NONE, 0);
        let (mut sum, mut longest) = (0, 0);
        let instance = &mut self.instances[at as usize];
        while taken < most && instance.first != NONE {
            let id = instance.first;
            let request = &mut self.requests[id as usize];
            instance.first = request.next;
            request.next = NONE;
            if request.state == State::Dead {
                request.state = State::Free;
                request.generation = request.generation.wrapping_add(1);
                self.unused.push(id);
                continue;
            }
            instance.queued -= 1;
            instance.queued_ask -= f64::from(request.ask_us);
            request.state = State::Running;
            sum += request.slot_us;
            longest = longest.max(request.slot_us);
            match tail {
                NONE => head = id,
                tail => self.requests[tail as usize].next = id,
            }
            tail = id;
            taken += 1;
        }
        if instance.first == NONE {
            instance.last = NONE;
            instance.queued_ask = 0.0;
        }
        if head == NONE {
            return instance.free_slot(now, &self.limits);
        }
        let run_us = match batch {
            Some(batch) if taken > 1 => {
                let each = (1.0 - batch.fixed_share) * sum as f64;
                (batch.fixed_share * longest as f64 + each) as u64
            }
            _ => sum,
        };
        let generation = self.requests[head as usize].generation;
        self.due_at(now + run_us.max(1), Due::RunEnds(head, generation));
    }

    /// A caller has waited long enough.
    fn give_up(&mut self, id: u32, generation: u32) {
        let request = self.requests[id as usize];
        if request.generation != generation {
            return;
        }
        match request.state {
            State::Queued => {
                let instance = &mut self.instances[request.instance as usize];
                instance.count(self.now_us);
                instance.queued -= 1;
                instance.outstanding -= 1;
                instance.queued_ask -= f64::from(request.ask_us);
                self.ranks.change(request.instance, instance.outstanding);
                self.requests[id as usize].state = State::Dead;
            }
            State::Running => self.requests[id as usize].state = State::Abandoned,
            _ => return,
        }
        self.bucket.failed += 1.0;
        self.fail(request, Failure::TimedOut);
    }

    /// An attempt has failed: another one, or none.
    fn fail(&mut self, mut request: Request, failure: Failure) {
        if request.attempts > self.workload.retries {
            self.tally.fail(failure, 1.0);
            return self.think(request, (1000.0 * self.workload.backoff_ms).max(1000.0));
        }
        let backoff_us = 1000.0 * self.workload.backoff_ms;
        let wait = backoff_us * f64::from(1_u32 << (request.attempts - 1).min(20));
        let wait = wait * (1.0 - 0.5 * self.random.unit());
        request.attempts += 1;
        request.state = State::Away;
        let id = self.place(request);
        self.due_at(self.now_us + wait as u64, Due::Again(id));
    }

    /// A caller of a closed loop has its answer, or none, and pauses for so many microseconds at least.
    fn think(&mut self, request: Request, least_us: f64) {
        if !request.is_client {
            return;
        }
        let wanted = self.row.map_or(0.0, |row| row.amount.round()) as u64;
        if self.clients > wanted {
            self.clients -= 1;
            return;
        }
        let pause = -(1.0 - self.random.unit()).ln() * 1000.0 * self.workload.think_ms;
        let pause = pause.max(least_us);
        self.due_at(self.now_us + pause as u64, Due::Send);
    }

    /// As many callers as the trace has now; new ones do not begin all at once.
    fn let_clients_in(&mut self) {
        let wanted = self.row.map_or(0.0, |row| row.amount.round()) as u64;
        while self.clients < wanted {
            self.clients += 1;
            let pause = self.random.unit() * 1000.0 * self.workload.think_ms;
            self.due_at(self.now_us + pause as u64, Due::Send);
        }
    }

    fn send(&mut self) {
        let Some(row) = self.row else { return };
        if row.until_us <= self.now_us && self.next_row.is_none() {
            return;
        }
        let arrival = Arrival {
            at_us: self.now_us,
            costs: row.costs,
            class: row.class,
        };
        self.arrive(arrival, true);
    }

    /// Instances die, with all that is in them.
    fn kill(&mut self, failure: u32) {
        let count = self.workload.failures[failure as usize].instances as usize;
        for _ in 0..count.min(self.ranks.len()) {
            let at = self.random.below(self.ranks.len() as u32) as usize;
            let dead = self.ranks.all()[at];
            self.ranks.remove(dead);
            let instance = &mut self.instances[dead as usize];
            instance.report(self.now_us, &self.limits, &mut self.bucket);
            instance.in_service = false;
            for id in 0..self.requests.len() as u32 {
                let request = self.requests[id as usize];
                let is_in =
                    request.instance == dead && !matches!(request.state, State::Free | State::Away);
                if !is_in {
                    continue;
                }
                self.forget(id);
                if matches!(request.state, State::Queued | State::Running) {
                    self.bucket.failed += 1.0;
                    self.fail(request, Failure::Lost);
                }
            }
            self.unused_instances.push(dead);
            let back = self.now_us + self.replaced_after_us;
            self.missing.push_back(back);
            self.due_at(back, Due::Replace);
        }
    }

    fn close_bucket(&mut self) {
        for at in 0..self.ranks.len() {
            let id = self.ranks.all()[at] as usize;
            self.instances[id].report(self.now_us, &self.limits, &mut self.bucket);
        }
        let bucket = std::mem::take(&mut self.bucket);
        self.tally.close(bucket.instance_secs, bucket.queue.most);
        self.recent.push(bucket);
    }

    /// Whether the trace has ended.
    pub(super) fn is_over(&self) -> bool {
        self.next_arrival.is_none()
            && self.next_row.is_none()
            && self.now_us >= self.arrivals.end_us()
    }

    /// Answers what is still there; gives the counts, or why the trace ended early.
    pub(super) fn finish(mut self) -> Result<Counted, Invalid> {
        if let Some(why) = self.arrivals.failed() {
            return Err(why);
        }
        self.next_row = None;
        self.row = None;
        self.clients = 0;
        self.advance(u64::MAX);
        Ok(self.tally.finish())
    }
}

impl<R: Iterator<Item = Result<Row, Invalid>>> World for Fleet<'_, R> {
    fn pass(&mut self, from: u64, until: u64, capacity: u32) {
        self.now_us = from * 1_000_000;
        self.set_capacity(capacity);
        let mut now = from;
        while now < until {
            let end = (now / BUCKET_SECS + 1) * BUCKET_SECS;
            now = end.min(until);
            self.advance(now * 1_000_000);
            if now == end {
                self.close_bucket();
            }
        }
    }

    fn value(&mut self, metric: &MetricStat, start: u64, end: u64) -> Option<f64> {
        self.recent.value(metric, start, end)
    }
}
