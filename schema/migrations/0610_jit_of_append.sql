-- `log_append` was written anew (migration 0580) and so lost what was set for it before: it is not to be compiled at each call
-- (migration 0540).
DO $$
DECLARE
    steered regprocedure;
BEGIN
    FOR steered IN
        SELECT DISTINCT p.oid::regprocedure
        FROM pg_proc p, unnest(p.proconfig) setting
        WHERE p.pronamespace IN ('public'::regnamespace, 'views'::regnamespace, 'shadow'::regnamespace, 'history'::regnamespace)
          AND setting ~ '^(enable_|plan_cache_mode)'
          AND 'jit=off' <> ALL (p.proconfig)
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET jit = off', steered);
    END LOOP;
END $$;
