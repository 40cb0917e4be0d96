-- What one POST /sales writes and reads, as one transaction of its own: the yardstick of `bench accept`.
-- pgbench cannot COPY from the client, so rows go in by INSERT; everything a sale's ids, hashes and salts need is
-- drawn by the server. `bench_members` numbers the members.
\set member random(1, :members)
\set number random(1, 9000000000000000)
\set tokens random(1, 200)
begin;
select pg_try_advisory_xact_lock(:number::bigint), k.status from (values (1)) as one(n)
  left join idempotency_keys k on k.api_key_id = :key_id::text and k.key = 'pgbench-' || :number::bigint;
select m.id, m.address from bench_members m join members on members.id = m.id
  where m.number = :member::int and members.status = 'active';
select currency, activation_delay_s, token_life_days from programs;
select id, version, spec from earning_rules where status = 'active';
select id, inputs_digest from sales where partner_id = :partner_id::text and external_id = 'pgbench-' || :number::bigint;
insert into sales (id, partner_id, member_id, external_id, occurred_at, currency, shipping_minor, eligible_minor,
                   tokens, rule, inputs_digest, entry_id, created_at)
  select 'sal_' || :number::bigint, :partner_id::text, id, 'pgbench-' || :number::bigint, now(), 'EUR', 0, 100 * :tokens::bigint,
         :tokens::bigint, 'rul@1', sha256(id::bytea), 'ent_' || :number::bigint, now()
  from bench_members where number = :member::int on conflict (partner_id, external_id) do nothing returning id;
insert into sale_lines (sale_id, line_number, sku, category, quantity, unit_price_micro, amount_minor, discount_minor,
                        tax_minor, eligible_minor, tokens, returned_quantity, reversed_tokens)
  select 'sal_' || :number::bigint, line, 'sku', 'grocery', 1, 1000000, 100, 0, 0, 100, 1, 0, 0 from generate_series(1, 3) line;
insert into accounts (member_id, available, pending, held, debt)
  select id, 0, 0, 0, 0 from bench_members where number = :member::int on conflict (member_id) do nothing;
select available, pending, held, debt from accounts
  where member_id = (select id from bench_members where number = :member::int) for update;
insert into entries (id, member_id, partner_id, kind, state, tokens, source_id, source_reference, rule, reason_code,
                     wallet, document_salt, record_salt, occurred_at, activates_at, created_at)
  select 'ent_' || :number::bigint, id, :partner_id::text, 'issue', 'accepted', :tokens::bigint, 'sal_' || :number::bigint, 'pgbench-' || :number::bigint,
         'rul@1', 'sale', address, sha256('document'), sha256('record'), now(), now(), now()
  from bench_members where number = :member::int;
insert into chain_orders (id, kind, partner_number, wallet, tokens, commitment, state)
  select 'ent_' || :number::bigint, 'issue', 1, address, :tokens::bigint, sha256(address), 'queued'
  from bench_members where number = :member::int;
insert into lots (entry_id, member_id, partner_id, state, tokens, remaining, held, spent, reversed, expired, unmet,
                  activates_at, expires_at)
  select 'ent_' || :number::bigint, id, :partner_id::text, 'active', :tokens::bigint, :tokens::bigint, 0, 0, 0, 0, 0, now(), now() + interval '1 year'
  from bench_members where number = :member::int;
update accounts set available = available + :tokens::bigint
  where member_id = (select id from bench_members where number = :member::int);
insert into journal_entries (at, actor, action, subject_id, detail)
  values (now(), 'partner', 'sale.recorded', 'sal_' || :number::bigint, jsonb_build_object('tokens', :tokens::bigint));
select pg_advisory_xact_lock_shared((1::bigint << 62)
  | coalesce(pg_sequence_last_value(pg_get_serial_sequence('outbox_events', 'seq')::regclass), 0));
insert into outbox_events (id, type, subject_id, payload, created_at) values
  ('evt_a' || :number::bigint, 'entry.accepted', 'ent_' || :number::bigint, jsonb_build_object('tokens', :tokens::bigint), now()),
  ('evt_b' || :number::bigint, 'sale.recorded', 'sal_' || :number::bigint, jsonb_build_object('tokens', :tokens::bigint), now());
notify mereau_orders;
select e.state, e.tokens, b.state from entries e left join chain_orders o on o.id = e.id
  left join chain_batches b on b.id = o.batch_id where e.id = 'ent_' || :number::bigint;
select available, pending, held, debt from accounts
  where member_id = (select id from bench_members where number = :member::int);
insert into idempotency_keys (api_key_id, key, request_digest, status, body)
  values (:key_id::text, 'pgbench-' || :number::bigint, sha256('body'), 201, convert_to(repeat('x', 700), 'UTF8'))
  on conflict do nothing returning 1;
commit;
