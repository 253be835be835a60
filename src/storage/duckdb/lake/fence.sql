-- Each commit changes the one row of this table. A transaction that began before another one committed cannot change
-- it, even if the snapshot of that other commit has expired and its number is free again.
CREATE TABLE public.logstore_fence (snapshot_id BIGINT NOT NULL);

INSERT INTO public.logstore_fence (snapshot_id)
SELECT max(snapshot_id)
FROM public.ducklake_snapshot;

CREATE FUNCTION public.logstore_fence() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $fence$
BEGIN
    -- From here on all other commits wait for this one. A stopped process must not keep them waiting.
    PERFORM set_config('idle_in_transaction_session_timeout', '10s', true);
    UPDATE public.logstore_fence SET snapshot_id = NEW.snapshot_id;
    IF NEW.commit_extra_info LIKE 'logstore:%' THEN
        IF NEW.commit_extra_info <> 'logstore:' || NEW.snapshot_id THEN
            RAISE EXCEPTION 'logstore: another writer committed since this one looked';
        END IF;
        NEW.commit_extra_info := NULL;
    END IF;
    RETURN NEW;
END
$fence$;

CREATE TRIGGER logstore_fence
BEFORE INSERT ON public.ducklake_snapshot_changes
FOR EACH ROW EXECUTE FUNCTION public.logstore_fence();
