-- Every kind of index, subtransactions, freezing, rewriting, truncation, sequences.
create table docs(id serial primary key, a int, b text, c tsvector, p point, r int4range, t text, j jsonb);
insert into docs(a, b, c, p, r, t, j)
  select i, md5(i::text), to_tsvector('simple', md5(i::text) || ' ' || md5((i % 100)::text)),
    point(i % 777, i % 333), int4range(i, i + i % 50), repeat(md5(i::text), i % 400),
    jsonb_build_object('k', i, 'v', array[i, i + 1])
  from generate_series(1, 20000) i;
create index on docs using hash(b);
create index on docs using gin(c);
create index on docs using gin(j);
create index on docs using gist(p);
create index on docs using gist(r);
create index on docs using spgist(p);
create index on docs using spgist(t text_ops) where length(t) < 2000;
create index on docs using brin(a);
create index on docs(b, a);
begin;
savepoint s;
update docs set a = a + 1 where id % 7 = 0;
rollback to s;
update docs set b = b || 'x' where id % 5 = 0;
commit;
delete from docs where id % 11 = 0;
vacuum docs;
insert into docs(a, b, c, p, r, t, j)
  select i, md5(i::text), to_tsvector('simple', md5(i::text)), point(i % 77, i % 33),
    int4range(i, i + i % 50), md5(i::text), '{}'
  from generate_series(20001, 40000) i;
vacuum freeze docs;
select count(*) from docs where id in (select id from docs for update);
update docs set a = 1 where id % 13 = 0;
delete from docs where a % 3 = 0;
vacuum docs;
update docs set b = 'z' || b where id % 17 = 0;
copy docs(a, b) to '/dev/null';
vacuum full pgbench_branches;
create table copied as select * from docs;
cluster docs using docs_pkey;
reindex table docs;
truncate pgbench_history;
create sequence sq;
select count(nextval('sq')) from generate_series(1, 1000);
create database other strategy wal_log;
create table gone(a int);
insert into gone select generate_series(1, 100000);
delete from gone where a > 100;
vacuum gone;
insert into gone select generate_series(1, 5000);
