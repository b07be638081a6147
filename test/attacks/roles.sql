-- The attackers, as they are before each attack. app, owner and clerk are ordinary; clerk is entitled to two purposes.
SET client_min_messages = error;
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname LIKE 'evil%' \gexec
SELECT format('CREATE ROLE %I', r) FROM unnest('{app,clerk,owner,bypass,creator,super,checker,steward,auditor}'::text[]) r
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) \gexec
SELECT format('REVOKE %I FROM %I', roleid::regrole, member::regrole) FROM pg_auth_members
 WHERE member::regrole::text IN ('app', 'clerk', 'owner', 'bypass', 'creator', 'super') \gexec
ALTER ROLE app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOREPLICATION;
ALTER ROLE clerk LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE;
ALTER ROLE owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOREPLICATION;
ALTER ROLE bypass LOGIN NOSUPERUSER BYPASSRLS;
ALTER ROLE creator LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE;
ALTER ROLE super LOGIN SUPERUSER;
ALTER ROLE checker LOGIN NOSUPERUSER BYPASSRLS;
ALTER ROLE steward LOGIN NOSUPERUSER NOBYPASSRLS;
ALTER ROLE auditor LOGIN NOSUPERUSER NOBYPASSRLS;
-- What an unmodified client gets.
SELECT format('ALTER ROLE %I SET %s = %L', r, s, 'marketing')
  FROM unnest('{app,clerk,owner,bypass,creator,super}'::text[]) r, unnest('{app.purpose,privacy_guard.purpose}'::text[]) s \gexec
